// Servers of another project. They are killed when the parent lets go of this process, or is gone itself.
import { spawn } from 'node:child_process'
import { answering } from './answering.mjs'

const children = []

const functions = {
  start({ program, argumentsOfEach }) {
    for (const args of argumentsOfEach) {
      children.push(spawn(program, args, { stdio: 'ignore' }))
    }
  },
}

answering(functions, () => {
  for (const child of children) child.kill('SIGKILL')
})
