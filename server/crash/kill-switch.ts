/** The preloaded library that strikes at the N-th call (kill-switch.c): built here, aimed here, and what it noted is read here. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { fromRoot } from '../../sandbox/root.ts'

export interface Strike {
  /** A change to the state folder, a process started (fork), or what is said to a helper (agent), another service (peer) or the database (sql). */
  readonly call: string
  /** The first is 1. */
  readonly n: number
  /** Killed before or after the call or in the middle of it (a write), or the error that it gets instead. */
  readonly how: 'before' | 'after' | 'torn' | 'EIO' | 'ENOSPC'
}

export interface Call {
  readonly call: string
  readonly n: number
  /** A path in the state folder, a port, or "-". */
  readonly what: string
}

const source = fromRoot('server/crash/kill-switch.c')
const library = fromRoot('.cache/crash/kill-switch.so')
const flags = ['-O2', '-fPIC', '-shared', '-pthread', '-Wall', '-Wextra', '-Werror']

/** @returns path of the library, compiled when its source is newer */
function buildKillSwitch(): string {
  const made = statSync(library, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (made >= statSync(source).mtimeMs) return library
  mkdirSync(fromRoot('.cache/crash'), { recursive: true })
  const unfinished = `${library}.${process.pid}`
  const compiled = spawnSync('cc', [...flags, '-o', unfinished, source, '-ldl'], { encoding: 'utf8' })
  if (compiled.status !== 0) {
    rmSync(unfinished, { force: true })
    throw new Error(`the kill switch did not compile: ${compiled.error?.message ?? compiled.stderr}`)
  }
  renameSync(unfinished, library)
  return library
}

/** @param log file that gets a line a call; strike absent: only counts */
export function armed(stateDir: string, databasePort: number, log: string, strike?: Strike): Record<string, string> {
  return {
    LD_PRELOAD: buildKillSwitch(),
    KEYSCALER_CRASH_FOLDER: stateDir,
    KEYSCALER_CRASH_PORT: String(databasePort),
    KEYSCALER_CRASH_LOG: log,
    ...(strike === undefined ? {} : { KEYSCALER_CRASH_AT: `${strike.call}:${strike.n}:${strike.how}` })
  }
}

/** What was noted, in order. */
export function callsIn(log: string): readonly Call[] {
  if (!existsSync(log)) return []
  const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => {
    const [call = '', n = '', ...what] = line.split(' ')
    return { call, n: Number(n), what: what.join(' ') }
  })
}
