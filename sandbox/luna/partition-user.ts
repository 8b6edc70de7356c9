/** For tests: a program that uses a partition as told over IPC, so that no test loads a PKCS#11 module itself. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Action, Answer } from './partition-user-child.ts'
import type { LunaToken } from './token.ts'

export interface PartitionUser {
  /** What the call gave, or the CKR code that it failed with. One at a time. */
  readonly ask: (action: Action) => Promise<Answer>
  /** Resolves with the signal that ended it, or null. */
  readonly ended: Promise<NodeJS.Signals | null>
  readonly kill: () => Promise<void>
}

/** Starts the program; its module is not loaded before the action `start`. */
export function startPartitionUser(token: LunaToken): PartitionUser {
  const child = fork(join(import.meta.dirname, 'partition-user-child.ts'), [], {
    env: { PATH: process.env.PATH, ChrystokiConfigurationPath: token.confPath, LUNA_MODULE: token.module },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced'
  })
  const ended = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null)
  return {
    ask: async (action) => {
      child.send(action)
      const answer = await Promise.race([once(child, 'message'), ended])
      if (!Array.isArray(answer)) throw new Error(`the partition's user ended in ${action.do} (${answer})`)
      return answer[0] as Answer
    },
    ended,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    }
  }
}
