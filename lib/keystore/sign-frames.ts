/**
 * Signatures are asked for and answered by the thousand, so they travel as plain bytes on two pipes of their own, many in one write:
 * making objects of them on either side costs as much as the rest of the journey. A frame is the length of its body, the number of the
 * call (1 to 2^32 - 1), and the body: of a call the key and the data, of an answer the signature.
 */
import type { KeyAlgorithm } from './keystore.ts'

/** File descriptors in the agent, beside standard streams and IPC. */
export const signPipes = { calls: 4, answers: 5 } as const
/** The call that the last frame of an agent that closes is for. */
export const noCall = 0

export type SigningAlgorithm = Exclude<KeyAlgorithm, 'AES-256'>

interface SigningKeyName {
  /** CKA_ID, 32 hexadecimal digits. */
  readonly id: string
  readonly algorithm: SigningAlgorithm
}

export interface SignCall {
  readonly call: number
  readonly body: Buffer
}

const algorithms: readonly SigningAlgorithm[] = ['EC-P256', 'EC-P384', 'RSA-3072']
const headBytes = 8
const keyBytes = 1 + 16

export function encodeCalls(
  calls: readonly { readonly call: number; readonly ask: SigningKeyName & { readonly data: Uint8Array } }[]
): Buffer {
  const size = calls.reduce((sum, { ask }) => sum + headBytes + keyBytes + ask.data.length, 0)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const { call, ask } of calls) {
    bytes.writeUInt32LE(keyBytes + ask.data.length, at)
    bytes.writeUInt32LE(call, at + 4)
    bytes[at + headBytes] = algorithms.indexOf(ask.algorithm)
    bytes.write(ask.id, at + headBytes + 1, 'hex')
    bytes.set(ask.data, at + headBytes + keyBytes)
    at += headBytes + keyBytes + ask.data.length
  }
  return bytes
}

/** The key that the body of a call names. */
export function keyIn(body: Buffer): SigningKeyName {
  const algorithm = algorithms[body[0] ?? algorithms.length]
  if (algorithm === undefined) throw new Error('a call of an unknown algorithm')
  return { algorithm, id: body.toString('hex', 1, keyBytes) }
}

/** What is to be signed, of the body of a call. */
export function dataIn(body: Buffer): Buffer {
  return body.subarray(keyBytes)
}

/** Answers on their way out, until they are taken together. */
export class SignAnswers {
  readonly #bytes = Buffer.allocUnsafe(16_384)
  #length = 0

  /** False when there is no room: take what there is first. */
  add(call: number, signature: Uint8Array): boolean {
    const end = this.#length + headBytes + signature.length
    if (end > this.#bytes.length) return false
    this.#bytes.writeUInt32LE(signature.length, this.#length)
    this.#bytes.writeUInt32LE(call, this.#length + 4)
    this.#bytes.set(signature, this.#length + headBytes)
    this.#length = end
    return true
  }

  /** To be written before the next is added. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return taken
  }
}

/** Whole frames out of the pieces of a stream; bodies are views of these. */
export class FrameReader {
  readonly #hear: (call: number, body: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(hear: (call: number, body: Buffer) => void) {
    this.#hear = hear
  }

  read(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    let at = 0
    while (bytes.length - at >= headBytes) {
      const end = at + headBytes + bytes.readUInt32LE(at)
      if (end > bytes.length) break
      this.#hear(bytes.readUInt32LE(at + 4), bytes.subarray(at + headBytes, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
  }
}
