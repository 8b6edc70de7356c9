/**
 * A server program as a child that cannot outlive this process: the kernel kills it when its parent dies, SIGKILL
 * included (PR_SET_PDEATHSIG, set by setpriv(1), which then becomes the program, so its pid is the server's pid).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

export interface ChildSpec {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** stdout and stderr go here, appended. */
  readonly logFile: string
  /** Run as this user and its group; only root may ask for it. */
  readonly user?: string | undefined
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** True gives the child a pipe for its standard input, held open by us. */
  readonly stdin?: boolean
  /** How long a polite stop may take before SIGKILL. */
  readonly stopWithinMs?: number
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Settles when the process is gone, with how it ended ("code 1", "signal SIGKILL"). Never rejects. */
  readonly exited: Promise<string>
  /** Null while it runs. */
  readonly ending: () => string | null
  /** Idempotent. `now` is SIGKILL at once, for data that nobody keeps. */
  readonly stop: (how?: 'gently' | 'now') => Promise<void>
}

/** @throws Error when the program cannot be started at all; one that starts and fails is seen by `whenReady`. */
export function startChild(spec: ChildSpec): Child {
  const log = openSync(spec.logFile, 'a', 0o600)
  const identity = spec.user === undefined ? [] : ['--reuid', spec.user, '--regid', spec.user, '--init-groups']
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...identity, '--', spec.command, ...spec.args], {
    cwd: spec.cwd,
    env: spec.env ?? process.env,
    stdio: [spec.stdin === true ? 'pipe' : 'ignore', log, log],
    // Its own process group: Ctrl-C reaches us alone, and we stop the servers after those who use them.
    detached: true
  })
  closeSync(log)
  letParentExit(child)
  let ended: string | null = null
  const exited = new Promise<string>((resolve) => {
    const settle = (how: string): void => {
      ended = how
      resolve(how)
    }
    child.once('error', (error) => settle(error.message))
    child.once('exit', (code, signal) => settle(signal === null ? `code ${code}` : `signal ${signal}`))
  })
  if (child.pid === undefined) throw new Error(`${spec.name}: setpriv cannot be started (package util-linux)`)

  return {
    name: spec.name,
    pid: child.pid,
    logFile: spec.logFile,
    exited,
    ending: () => ended,
    stop: async (how = 'gently') => {
      if (ended !== null) return
      child.ref()
      // kcat ignores SIGTERM while its input is open, and ends at end of input.
      child.stdin?.end()
      child.kill(how === 'now' ? 'SIGKILL' : 'SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), spec.stopWithinMs ?? 10_000)
      await exited
      clearTimeout(hard)
    }
  }
}

/** A test file that forgot to stop its servers still ends: they are then killed with it. */
function letParentExit(child: ChildProcess): void {
  child.unref()
  const input: (Writable & { unref?: () => void }) | null = child.stdin
  input?.unref?.()
}

/**
 * Waits until the server says that it is ready.
 * @param probe asked again and again; false or a throw means not yet
 * @throws Error with the log's last lines when the child ends or the time is over; the child is stopped then
 */
export async function whenReady(child: Child, probe: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    if (await probe().catch(() => false)) return
    const ended = child.ending()
    if (ended !== null) throw new Error(`${child.name} ended with ${ended}${lastLines(child.logFile)}`)
    if (Date.now() > deadline) {
      await child.stop('now')
      throw new Error(`${child.name} was not ready within ${withinMs / 1000} s${lastLines(child.logFile)}`)
    }
    await pause(15)
  }
}

function lastLines(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8)
  return `; the end of ${file}:\n  ${lines.join('\n  ')}`
}
