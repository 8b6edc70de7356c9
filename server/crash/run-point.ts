/** One kill point: an install begun on fresh ground, struck, run again to its end, and compared with one that nothing struck. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sharedSandbox } from '../../sandbox/testing.ts'
import type { Ended, Keyscaler } from '../testing/keyscaler.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'
import { type Digest, differences, digestOf } from './digest.ts'
import { armed, type Call, callsIn, type Strike } from './kill-switch.ts'
import { nameOf, type Point, powerFails } from './points.ts'
import { openSqlProxy, type SqlProxy } from './sql-proxy.ts'

export interface PointResult {
  readonly point: string
  /** What was struck: "rename boot.json", "statement INSERT INTO"; null: the run ended before its N-th call. */
  readonly struck: string | null
  /** How the struck run ended: null is a kill. */
  readonly code: number | null
  /** From the start of the second run to its end. */
  readonly resumeMs: number
  /** Empty: the same end as without the strike. */
  readonly problems: readonly string[]
}

export interface Reference {
  readonly digest: Digest
  readonly calls: readonly Call[]
  readonly packets: readonly string[]
  readonly installMs: number
}

interface Ground {
  readonly world: InstallWorld
  readonly proxy: SqlProxy
  /** Runs `keyscaler apply --exit` once more. */
  readonly apply: (strike?: Strike) => Keyscaler
  readonly calls: () => readonly Call[]
}

const calls: ReadonlySet<string> = new Set(['before', 'after', 'torn', 'EIO', 'ENOSPC'])

async function onFreshGround<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const proxy = await openSqlProxy(mariadb, mariadb.user)
  let environment: Record<string, string> = {}
  const world = await openInstallWorld({ databasePort: proxy.port, environment: () => environment })
  const log = join(world.dir, 'calls.log')
  const answers = world.answersFile()
  try {
    return await work({
      world,
      proxy,
      apply: (strike) => {
        rmSync(log, { force: true })
        environment = armed(world.stateDir, proxy.port, log, strike)
        return world.apply(answers, '--exit', '--output', 'json')
      },
      calls: () => callsIn(log)
    })
  } finally {
    await world.close()
    await proxy.close()
  }
}

/** An install that nothing strikes: what there is to strike, and the end that all others must come to. */
export async function referenceRun(): Promise<Reference> {
  return onFreshGround(async ({ world, proxy, apply, calls }) => {
    const began = performance.now()
    const { code, stderr } = await apply().ended
    if (code !== 0) throw new Error(`the reference install ended with ${code}:\n${stderr}`)
    const installMs = performance.now() - began
    return { digest: await digestOf(world), calls: calls(), packets: proxy.packets(), installMs }
  })
}

export async function runPoint(point: Point, reference: Digest): Promise<PointResult> {
  return onFreshGround(async (ground) => {
    const { world, proxy } = ground
    const first = await struckRun(ground, point)
    if (first.ended.code === null && powerFails(point)) endAll(world)
    const problems = first.ended.code === null ? [] : badWords(first.ended)
    if (point.how === 'EIO' || point.how === 'ENOSPC') problems.push(...halfWritten(world))
    proxy.aim(null)
    const began = performance.now()
    const again = await ground.apply().ended
    const resumeMs = Math.round(performance.now() - began)
    if (again.code !== 0) problems.push(`run again it ended with ${again.code}: ${again.stderr.trim()}`)
    else problems.push(...differences(reference, await digestOf(world)))
    return { point: nameOf(point), struck: first.struck, code: first.ended.code, resumeMs, problems }
  })
}

async function struckRun(
  { proxy, apply, calls: made }: Ground,
  point: Point
): Promise<{ readonly ended: Ended; readonly struck: string | null }> {
  if (calls.has(point.how)) {
    proxy.aim(null)
    const ended = await apply(point as Strike).ended
    const hit = made().find(({ call, n }) => call === point.call && n === point.n)
    return { ended, struck: hit === undefined ? null : `${hit.call} ${hit.what}` }
  }
  let running: Keyscaler | undefined
  proxy.aim({
    n: point.n,
    side: point.how === 'reset-before' ? 'before' : 'after',
    strike: async () => {
      if (point.how === 'kill-after') await running?.kill()
    }
  })
  running = apply()
  const ended = await running.ended
  const label = proxy.packets()[point.n - 1]
  return { ended, struck: label === undefined ? null : `statement ${label}` }
}

/** As when the machine loses its power: what it had started goes with it. */
function endAll(world: InstallWorld): void {
  for (const line of world.processes()) {
    try {
      process.kill(Number.parseInt(line, 10), 'SIGKILL')
    } catch (thrown) {
      // ESRCH: it went with another one.
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown
    }
  }
}

/** A run that could not finish says so, in words for a person, and ends with a code of its own (console.ts). */
function badWords({ code, stderr }: Ended): string[] {
  const problems: string[] = []
  if (/^\s+at .*:\d+:\d+\)?$/m.test(stderr)) problems.push(`a stack trace: ${stderr.slice(0, 600)}`)
  if (code !== 0 && ![4, 6, 7].includes(code ?? -1)) problems.push(`ended with ${code}: ${stderr.slice(0, 600)}`)
  if (code !== 0 && !/^keyscaler: \S/m.test(stderr)) problems.push(`it did not say why: ${stderr.slice(0, 600)}`)
  return problems
}

/** Whatever is there as JSON can be read. */
function halfWritten(world: InstallWorld): string[] {
  const text = (name: string) => readFileSync(join(world.stateDir, name), 'utf8')
  const files = existsSync(world.stateDir) ? readdirSync(world.stateDir, { recursive: true }).map(String) : []
  return files
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        JSON.parse(text(name))
        return []
      } catch {
        return [`half-written: ${name} (${text(name).length} bytes)`]
      }
    })
}
