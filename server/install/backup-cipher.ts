/**
 * The envelope of a backup: 16 bytes that name the format, 32 of salt, then chunks of AES-256-GCM, 64 KiB of plaintext each. The key
 * is scrypt's of the passphrase, for this file alone. A chunk's nonce is its number (11 bytes) and whether it is the last
 * one (1 byte), its associated data the 48 bytes before all chunks: what is cut off, swapped, taken from another backup or
 * changed in one bit does not open (the STREAM construction, Hoang et al. 2015). docs/backup.md has it for other programs.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../../lib/errors/app-error.ts'

const format = Buffer.from('KeyScalerBackup1')
const saltBytes = 32
const headerBytes = format.length + saltBytes
const chunkBytes = 65_536
const tagBytes = 16

/** RFC 7914; 128 MiB and about half a second a try. Not read from the file: nobody can ask for less, or for too much. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 192 * 1024 * 1024 }

const derive = promisify<string, Buffer, number, typeof cost, Buffer>(scrypt)

/** @param plain in pieces of any size. @returns the file, in pieces */
export async function* sealed(plain: AsyncIterable<Uint8Array>, passphrase: string): AsyncGenerator<Buffer> {
  const header = Buffer.concat([format, randomBytes(saltBytes)])
  const key = await keyOf(passphrase, header)
  yield header
  let number = 0
  for await (const { bytes, last } of inChunks(plain, chunkBytes)) {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number++, last)).setAAD(header)
    yield Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  }
  key.fill(0)
}

/**
 * Gives out a chunk only after its tag was right. That the end is the end is known when it is done: who acts on what comes
 * out reads it to its end first.
 * @throws AppError invalid-input for what is no backup, check-failed for another passphrase or a changed file
 */
export async function* opened(file: AsyncIterable<Uint8Array>, passphrase: string): AsyncGenerator<Buffer> {
  let key: Buffer | null = null
  let header: Buffer = Buffer.alloc(0)
  let number = 0
  const chunks = inChunks(
    withoutHeader(file, (found) => {
      header = found
    }),
    chunkBytes + tagBytes
  )
  for await (const { bytes, last } of chunks) {
    key ??= await keyOf(passphrase, header)
    yield openChunk(key, header, bytes, { number: number++, last })
  }
  key?.fill(0)
}

function openChunk(key: Buffer, header: Buffer, chunk: Buffer, at: { number: number; last: boolean }): Buffer {
  const body = chunk.length - tagBytes
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(at.number, at.last)).setAAD(header)
    decipher.setAuthTag(chunk.subarray(body))
    return Buffer.concat([decipher.update(chunk.subarray(0, body)), decipher.final()])
  } catch (cause) {
    const why = at.number === 0 ? 'The passphrase is another one, or the backup' : 'The backup'
    throw new AppError('check-failed', `${why} is damaged: it does not open at byte ${at.number * chunkBytes}.`, {
      cause,
      cure:
        at.number === 0 ? 'Try the passphrase again, then another copy of the file.' : 'Take another copy of the file.'
    })
  }
}

function keyOf(passphrase: string, header: Buffer): Promise<Buffer> {
  // The same words typed on another keyboard or system are the same bytes (RFC 8265 section 4.2).
  return derive(passphrase.normalize('NFC'), header.subarray(format.length), 32, cost)
}

function nonceOf(number: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(number, 5, 6)
  nonce.writeUInt8(last ? 1 : 0, 11)
  return nonce
}

/** At least one; all but the last are full. */
async function* inChunks(pieces: AsyncIterable<Uint8Array>, size: number) {
  let kept: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    kept = kept.length === 0 ? Buffer.from(piece) : Buffer.concat([kept, piece])
    let from = 0
    // One is held back: only the end tells that it is the last.
    for (; kept.length - from > size; from += size) yield { bytes: kept.subarray(from, from + size), last: false }
    kept = kept.subarray(from)
  }
  yield { bytes: kept, last: true }
}

async function* withoutHeader(file: AsyncIterable<Uint8Array>, found: (header: Buffer) => void) {
  let start = Buffer.alloc(0)
  let told = false
  for await (const piece of file) {
    if (told) {
      yield piece
      continue
    }
    start = Buffer.concat([start, piece])
    if (start.length < headerBytes) continue
    if (!start.subarray(0, format.length).equals(format)) break
    told = true
    found(start.subarray(0, headerBytes))
    yield start.subarray(headerBytes)
  }
  if (!told) throw new AppError('invalid-input', 'This is not a backup of KeyScaler, or one of a later version.')
}
