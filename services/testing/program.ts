/** A service's own program as a child of the test file, and what it prints. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ServiceName } from '../catalog.ts'
import { atEnd } from './test-file.ts'

export interface Program {
  readonly child: ChildProcess
  /** Everything that it printed. */
  readonly output: () => string
  /** Settles when a line has been printed that matches, those before included. */
  readonly said: (pattern: RegExp) => Promise<void>
  /** Settles when it listens. @throws Error with what it printed when it ends before */
  readonly listening: () => Promise<void>
  /** The exit code, or null after a signal. */
  readonly ended: Promise<number | null>
}

/** @param ending what ends it with the test file, when it still runs */
export function startProgram(
  service: ServiceName,
  args: readonly string[],
  ending: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'
): Program {
  const child = spawn(process.execPath, [join(import.meta.dirname, `../${service}/main.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const lines: string[] = []
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line)
      for (const listener of listeners) listener()
    })
  }
  const output = () => lines.join('\n')
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  atEnd(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill(ending)
    await ended
  })
  const said = (pattern: RegExp) =>
    new Promise<void>((found) => {
      const look = () => {
        if (!lines.some((line) => pattern.test(line))) return
        listeners.delete(look)
        found()
      }
      listeners.add(look)
      look()
    })
  return {
    child,
    output,
    said,
    ended,
    listening: async () => {
      const code = await Promise.race([said(/Server listening/), ended])
      if (code !== undefined) throw new Error(`${service} ended with ${code}:\n${output()}`)
    }
  }
}
