/** For tests: what a kill inside C_GenerateKeyPair leaves in a token, one half of an EC P-256 pair. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { moduleStart } from '../../lib/keystore/module-start.ts'
import type { HalfPairAnswer, HalfPairOrder } from './half-pair-child.ts'

/** @param id CKA_ID, hex. @param half the one that reached the token. Costs one accepted login. */
export async function plantHalfPair(
  config: KeyStoreConfig,
  pin: string,
  id: string,
  half: HalfPairOrder['half']
): Promise<void> {
  const start = moduleStart(config, 'write')
  const child = fork(join(import.meta.dirname, 'half-pair-child.ts'), [], {
    env: { PATH: process.env.PATH, ...start.environment },
    execArgv: [],
    timeout: 30_000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  const ended = once(child, 'exit')
  const order: HalfPairOrder = { start, pin, id, half }
  child.send(order)
  const answer = await Promise.race([once(child, 'message'), ended])
  await ended
  const { problem } = (answer[0] ?? { problem: 'it ended without an answer' }) as HalfPairAnswer
  if (problem !== null) throw new Error(`half a key pair could not be made: ${problem}`)
}
