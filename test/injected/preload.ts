// Errors that a real process meets in its system calls, from libfiu (Debian's `fiu-utils`): a library
// in front of libc fails the calls it is told to. It sees what Node does because libuv goes through
// libc; with io_uring it would not, so that is switched off.
import { execFileSync, spawnSync } from 'node:child_process'

export type Call = 'sync/fdatasync' | 'rw/pwrite'

const ERRNOS = { EIO: 5, ENOSPC: 28 } as const

/** The environment for a process that can be told to fail; or the reason why there is none. */
export function injection(): { readonly env: NodeJS.ProcessEnv } | { readonly missing: string } {
  // With -x, `fiu-run` preloads what stands in front of the POSIX calls.
  const { status, stdout, error } = spawnSync('fiu-run', ['-x', 'env'], { encoding: 'utf8' })
  if (status !== 0) return { missing: `fiu-run (fiu-utils) is not here: ${error ?? status}` }
  const wanted = ['LD_PRELOAD', 'FIU_CTRL_FIFO', 'FIU_ENABLE']
  const added = stdout.split('\n').flatMap((line) => {
    const at = line.indexOf('=')
    return wanted.includes(line.slice(0, at)) ? [[line.slice(0, at), line.slice(at + 1)]] : []
  })
  if (added.length === 0) return { missing: 'fiu-run preloads nothing here' }
  return { env: { ...process.env, ...Object.fromEntries(added), UV_USE_IO_URING: '0' } }
}

/** From now on these calls of the process fail. */
export function breakCall(pid: number, call: Call, error: keyof typeof ERRNOS): void {
  control(pid, `enable name=posix/io/${call},failinfo=${ERRNOS[error]}`)
}

export function mendCall(pid: number, call: Call): void {
  control(pid, `disable name=posix/io/${call}`)
}

function control(pid: number, command: string): void {
  execFileSync('fiu-ctrl', ['-c', command, String(pid)], { timeout: 10_000 })
}
