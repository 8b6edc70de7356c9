/**
 * Starts a child that will load a PKCS#11 library, so that it can harm nobody (pkcs11.md section 3):
 * - its own process group, killed as a whole: what the library forks dies too
 * - it dies with us, even when it hangs and we are killed (PR_SET_PDEATHSIG by setpriv)
 * - no core dump: it would hold the PIN
 * - nothing on stdout is read; of stderr only the end is kept
 * - only the given environment; request, PIN and answers travel over IPC, never in argv or environment
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compiledCode } from './compiled-code.mjs'

export interface ModuleChild {
  readonly process: ChildProcess
  /** Resolves when the process is gone, with how it went. */
  readonly gone: Promise<ChildEnd>
  /** SIGKILL to the whole group: after a hung native call nothing gentler works. */
  readonly kill: () => void
  /** The last words on stderr. */
  readonly lastWords: () => string
}

export interface ChildEnd {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

const keptStderr = 4_096
/** After this much the pipe is closed: a library may write gigabytes. */
const readStderr = 65_536

/** The user that a service runs as. */
export interface ServiceUser {
  readonly uid: number
  readonly gid: number
}

/**
 * SCHED_BATCH (sched(7)): threads that wake do not interrupt whoever runs, and have the same share of the processors. Thirty of them that
 * wake after each call of a slow token push the KMS off its core otherwise, in the middle of its requests.
 */
const interruptsNobody = ['/usr/bin/chrt', '--batch', '0'] as const
let mayInterruptNobody: boolean | undefined

/** Empty where chrt is missing or forbidden (a sandbox may refuse sched_setscheduler): that costs some speed, never the key store. */
function schedulingOfServers(): readonly (readonly string[])[] {
  const [chrt, ...policy] = interruptsNobody
  // For all that this process will start: it takes some milliseconds.
  mayInterruptNobody ??= spawnSync(chrt, [...policy, '/usr/bin/true'], { timeout: 2_000 }).status === 0
  return mayInterruptNobody ? [interruptsNobody] : []
}

/** The groups of the user are set too: a Luna client is for members of hsmusers only. */
function guards(user: ServiceUser | null): readonly (readonly string[])[] {
  const become = user === null ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups']
  return [
    ['/usr/bin/prlimit', '--core=0'],
    ['/usr/bin/setpriv', '--pdeathsig', 'KILL', ...become]
  ]
}

/** Only root may; everybody else stays who he is, and the child says as whom it ran. */
function maySwitchTo({ uid }: ServiceUser): boolean {
  return process.getuid?.() === 0 && uid !== 0
}

/**
 * The one way in which probe and agent come to life: what holds for one of them holds for the other.
 * @param entry file URL of the program, e.g. new URL('./probe-child.ts', import.meta.url)
 * @param environment the whole of it but where Node keeps compiled code; a probe's is from moduleStart, an agent takes that over when it opens
 * @param user whom to become, where this process may; absent: the child is who we are
 * @param serves many calls from now on: it interrupts nobody, and has so many pipes beside IPC, file descriptors 4 and following
 */
export function startModuleChild(
  entry: URL,
  environment: Readonly<Record<string, string>>,
  user?: ServiceUser | undefined,
  serves: { readonly pipes: number } | null = null
): ModuleChild {
  const other = user !== undefined && maySwitchTo(user) ? user : null
  const prefix = [...(serves === null ? [] : schedulingOfServers()), ...guards(other)]
    .filter(([tool]) => tool !== undefined && existsSync(tool))
    .flat()
  const [command = process.execPath, ...args] = [...prefix, process.execPath, fileURLToPath(entry)]
  const child = spawn(command, args, {
    detached: true,
    // Another user may not write where our compiled code is kept.
    env: { ...environment, ...(other === null ? compiledCode() : {}) },
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...Array<'pipe'>(serves?.pipes ?? 0).fill('pipe')],
    serialization: 'advanced'
  })
  let words = ''
  let read = 0
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('latin1')).slice(-keptStderr)
    read += chunk.length
    if (read > readStderr) child.stderr?.destroy()
  })
  child.stderr?.on('error', () => undefined)
  const gone = new Promise<ChildEnd>((resolve) => {
    child.once('error', () => resolve({ exitCode: null, signal: null }))
    child.once('exit', (exitCode, signal) => {
      // Messages that it sent before its end are still on their way; a fork of the library may hold the channel open.
      const finish = () => resolve({ exitCode, signal })
      if (!child.connected) return finish()
      const late = setTimeout(finish, 500)
      child.once('disconnect', () => {
        clearTimeout(late)
        finish()
      })
    })
  })
  return { process: child, gone, kill: () => killGroup(child), lastWords: () => words }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is gone already, or was never made: the child itself must still end, for `gone` is waited for.
  }
  child.kill('SIGKILL')
}
