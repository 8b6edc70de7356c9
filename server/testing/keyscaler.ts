/**
 * `keyscaler` as a child whose every line is read, so that it can be killed at a moment that it tells itself. It dies
 * with us (setpriv), and what it deployed reads the end of its lifeline then; killed alone it leaves its services running.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fromRoot } from '../../sandbox/root.ts'
import { startFlags } from '../../scripts/prepare/start-flags.mjs'

export interface Surroundings {
  /** Folder of the partition's Chrystoki.conf. */
  readonly confPath: string
  /** HOME of the program and its services: marks every process of this install. */
  readonly home: string
  readonly kafka: 'apache' | 'mock'
  /** The checkout that it is of; absent: this one. */
  readonly checkout?: string
  /** Added to its environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** A program that runs it, with its arguments; absent: none. */
  readonly under?: readonly string[]
}

export interface Ended {
  /** Null: a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Keyscaler {
  readonly pid: number
  /** Never rejects. */
  readonly ended: Promise<Ended>
  /** The next line, on either channel, that fits. @throws Error with all that it printed when it ends before */
  readonly said: (line: RegExp) => Promise<string>
  /** SIGKILL in the moment that the line is read; done when it is gone. @throws Error when it ends by itself before */
  readonly killedWhenItSays: (line: RegExp) => Promise<void>
  /** SIGKILL as soon as the look finds it so. @throws Error when it ends by itself before */
  readonly killedWhen: (look: () => Promise<boolean> | boolean) => Promise<void>
  readonly kill: () => Promise<void>
  /** SIGTERM: it stops its services first. */
  readonly stop: () => Promise<Ended>
  /** Ends the services that it left behind. */
  readonly dropLifeline: () => void
}

const lookEveryMs = 2

export function startKeyscaler(args: readonly string[], surroundings: Surroundings): Keyscaler {
  const { confPath, home, kafka, checkout = fromRoot('.'), environment, under = [] } = surroundings
  const program = [...under, process.execPath, ...startFlags(checkout), join(checkout, 'server/cli.mjs'), ...args]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...program], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HOME: home,
      KEYSCALER_LIFELINE_FD: '3',
      KEYSCALER_SANDBOX_KAFKA: kafka,
      ChrystokiConfigurationPath: confPath,
      ...environment
    }
  })
  const printed = { stdout: '', stderr: '' }
  const listeners = new Set<(line: string) => void>()
  const read = (['stdout', 'stderr'] as const).map((channel) => {
    const stream = child[channel]
    if (stream === null) throw new Error(`${channel} is not read`)
    const lines = createInterface({ input: stream })
    lines.on('line', (line) => {
      printed[channel] += `${line}\n`
      for (const listener of listeners) listener(line)
    })
    return once(lines, 'close')
  })
  // Not the child's 'close': that waits for the lifeline, which its services hold on to.
  const ended = Promise.all([once(child, 'exit'), ...read]).then(([[code]]): Ended => ({ code, ...printed }))
  const endedBefore = (what: string) =>
    ended.then(({ code, stdout, stderr }): never => {
      throw new Error(`keyscaler ${args[0]} ended (${code}) before ${what}:\n${stdout}${stderr}`)
    })
  const onLine = (wanted: RegExp, then: () => void) => {
    const found = Promise.withResolvers<string>()
    const listener = (line: string) => {
      if (!wanted.test(line)) return
      listeners.delete(listener)
      then()
      found.resolve(line)
    }
    listeners.add(listener)
    const outcome = Promise.race([found.promise, endedBefore(`it said ${wanted}`)])
    outcome.catch(() => {}) // Whoever stopped waiting for it does not fail.
    return outcome
  }
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return ended
  }
  return {
    pid: child.pid ?? 0,
    ended,
    said: (line) => onLine(line, () => {}),
    killedWhenItSays: async (line) => {
      await onLine(line, () => child.kill('SIGKILL'))
      await ended
    },
    killedWhen: async (look) => {
      const gone = endedBefore(`${look}`)
      gone.catch(() => {})
      while (!(await Promise.race([look(), gone]))) await pause(lookEveryMs)
      await end('SIGKILL')
    },
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    dropLifeline: () => void child.stdio[3]?.destroy()
  }
}
