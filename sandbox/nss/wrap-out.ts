/**
 * For tests: what NSS lets everybody do who has its files and its password, and what therefore no path of the KMS may do. It wraps
 * out a key that is sensitive and not extractable (pkcs11.md section 2).
 */
import { fork } from 'node:child_process'
import { createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { moduleStart } from '../../lib/keystore/module-start.ts'
import type { WrapOutAnswer, WrapOutOrder } from './wrap-out-child.ts'

/** @param ids CKA_IDs, hex. @returns the keys in clear: 32 bytes of an AES key, PKCS#8 of a private one */
export async function wrapOut(config: KeyStoreConfig, pin: string, ids: readonly string[]): Promise<Buffer[]> {
  const start = moduleStart(config, 'write')
  const child = fork(join(import.meta.dirname, 'wrap-out-child.ts'), [], {
    env: { PATH: process.env.PATH, ...start.environment },
    execArgv: [],
    timeout: 30_000,
    killSignal: 'SIGKILL',
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  const ended = once(child, 'exit')
  const wrappingKey = randomBytes(32)
  const order: WrapOutOrder = { start, pin, ids, wrappingKey }
  child.send(order)
  const answer = await Promise.race([once(child, 'message'), ended])
  await ended
  const { wrapped, problem } = (answer[0] ?? { wrapped: [], problem: 'it ended without an answer' }) as WrapOutAnswer
  if (problem !== null) throw new Error(`nothing could be wrapped out: ${problem}`)
  return wrapped.map((bytes) => unwrapped(wrappingKey, Buffer.from(bytes)))
}

/** RFC 5649, which for a multiple of 8 bytes differs from RFC 3394 in its first block only. */
function unwrapped(wrappingKey: Buffer, bytes: Buffer): Buffer {
  const decipher = createDecipheriv('id-aes256-wrap-pad', wrappingKey, Buffer.from('a65959a6', 'hex'))
  return Buffer.concat([decipher.update(bytes), decipher.final()])
}
