/** One process of a service, started by us or found alive; both are waited for and ended the same way. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { compiledCode } from '../../../lib/keystore/compiled-code.mjs'
import { startTimeOf } from '../../../lib/process/start-time.ts'
import { exitNotePath, readExitNote } from '../../../lib/service/exit-note.ts'
import { standbyFlag } from '../../../lib/service/standby.ts'
import { isAlive, type PidRecord, pidsServing, writePidRecord } from './pid-record.ts'
import type { RunFolder } from './run-folder.ts'

export interface RunningProcess {
  readonly record: PidRecord
  /** Settles once, when the process is gone; code is null for one that was adopted and left no note. */
  readonly exited: Promise<Exit>
}

export interface Exit {
  readonly code: number | null
  readonly why: string
}

const stopWithinMs = 10_000
const adoptedPollMs = 1000

export interface Program {
  /** Absolute path of the program. */
  readonly program: string
  readonly run: RunFolder
  /** Read end that closes when the sandbox dies, passed on as fd 3; null: the service outlives the wizard. */
  readonly lifelineFd: number | null
}

/** A program that has loaded its code, or is at it, and waits for the word (lib/service/standby.ts). */
export interface Standby {
  readonly child: ChildProcess
  readonly gone: Promise<Exit>
}

/**
 * Starts the program in a process group of its own, with an environment that holds nothing of ours (no secrets, no
 * NODE_OPTIONS), writing to service.log itself. Nothing is on record yet: it ends by itself when we do.
 */
export function standBy({ program, run, lifelineFd }: Program): Standby {
  mkdirSync(run.folder, { recursive: true, mode: 0o700 })
  const log = openSync(run.log, 'a', 0o600)
  try {
    const child = spawn(process.execPath, [program, standbyFlag, '--config', run.config], {
      detached: true,
      cwd: run.folder,
      env: { ...surroundings(), ...(lifelineFd === null ? {} : { KEYSCALER_LIFELINE_FD: '3' }) },
      stdio: lifelineFd === null ? ['pipe', log, log] : ['pipe', log, log, lifelineFd]
    })
    const gone = once(child, 'exit').then(
      ([code, signal]): Exit => ({ code, why: signal === null ? `exit code ${code}` : `killed by ${signal}` }),
      (error: Error): Exit => ({ code: null, why: error.message })
    )
    // One that is gone already hears no word; that it is gone is seen by its end.
    child.stdin?.on('error', () => {})
    letUsExit(child)
    return { child, gone }
  } finally {
    closeSync(log)
  }
}

/** Puts it on record, then gives it the word: there is no service of which nothing is known. */
export async function launch(program: Program, configHash: string, standby: Standby | null): Promise<RunningProcess> {
  const { run } = program
  // Another process's last word; numbers of processes are used again.
  await rm(exitNotePath(run.folder), { force: true })
  const waits = standby !== null && standby.child.exitCode === null && standby.child.signalCode === null
  const { child, gone } = waits ? standby : standBy(program)
  const pid = child.pid
  if (pid === undefined) return { record: nobody(configHash), exited: gone }
  // Whatever it left in its group (a key-store agent) goes with it, before anything is started in its place.
  const exited = gone.finally(() => killGroup(pid, 'SIGKILL'))
  const startTime = startTimeOf(pid) ?? ''
  const record = { pid, startTime, configHash, startedAt: new Date().toISOString() }
  await writePidRecord(run.pid, record)
  child.stdin?.end('\n')
  return { record, exited }
}

/** It is not waited for, and its pipe does not keep us. */
function letUsExit(child: ChildProcess): void {
  child.unref()
  const input: (Writable & { unref?: () => void }) | null = child.stdin
  input?.unref?.()
}

/** Takes up a process that an earlier wizard started; it is no child of ours, so /proc is asked each second. */
export function adopt(record: PidRecord, run: RunFolder): RunningProcess {
  const watch = async (): Promise<Exit> => {
    while (isAlive(record)) await delay(adoptedPollMs, undefined, { ref: false })
    return exitOf(record, run)
  }
  return { record, exited: watch() }
}

/** How a process ended that is no child of ours: by its own note, if it is this one's. */
export async function exitOf({ pid }: PidRecord, run: RunFolder): Promise<Exit> {
  const note = await readExitNote(run.folder)
  if (note?.pid !== pid) return { code: null, why: 'it is gone' }
  return { code: note.exitCode, why: `exit code ${note.exitCode}` }
}

/** SIGTERM, ten seconds, then SIGKILL to the whole group. Returns when it is gone. */
export async function end(record: PidRecord): Promise<void> {
  if (await signalled(record, 'SIGTERM', stopWithinMs)) return
  await signalled(record, 'SIGKILL', stopWithinMs)
}

/** Ends what serves this configuration file and is not on record. @param spared our own standby, which serves nothing yet */
export async function endStrays(configFile: string, spared?: number): Promise<void> {
  for (const pid of await pidsServing(configFile)) {
    if (pid === spared) continue
    const startTime = startTimeOf(pid)
    if (startTime !== null) await end({ pid, startTime, configHash: '', startedAt: '' })
  }
}

async function signalled(record: PidRecord, signal: 'SIGTERM' | 'SIGKILL', withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs
  if (!isAlive(record)) return true
  // The service ends its own children on SIGTERM; only the last word goes to the group.
  if (signal === 'SIGTERM') kill(record.pid, signal)
  else killGroup(record.pid, signal)
  while (performance.now() < until) {
    if (!isAlive(record)) return true
    await delay(20)
  }
  return false
}

function surroundings(): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/', LANG = 'C.UTF-8' } = process.env
  return { PATH, HOME, LANG, ...compiledCode() }
}

function nobody(configHash: string): PidRecord {
  return { pid: 0, startTime: '', configHash, startedAt: '' }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  kill(-pid, signal)
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (thrown) {
    // ESRCH: it is gone, which is what was wanted.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown
  }
}
