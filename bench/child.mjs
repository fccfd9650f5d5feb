import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Runs children/<script> and returns what it sends. With `kill`, it is killed at that moment, as `kill
 * -9` does; otherwise it ends by itself.
 */
export function runChild(script, job, { kill = false } = {}) {
  const path = fileURLToPath(new URL(`children/${script}`, import.meta.url))
  return new Promise((resolve, reject) => {
    let answer
    const child = fork(path, [], { execArgv: [] })
    child.on('message', (message) => {
      answer = message
      if (kill) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (answer !== undefined) resolve(answer)
      else reject(new Error(`${script} ended with ${signal ?? code} and no answer`))
    })
    child.send(job)
  })
}
