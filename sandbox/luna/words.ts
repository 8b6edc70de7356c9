/** The partition's memory as words of 32 bits in the machine's order: `struct state` of luna.h, seen from outside. */
import { open, readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { join } from 'node:path'

/** Where each word of luna.h is. */
export const wordOf = {
  magic: 0,
  version: 1,
  slot: 2,
  lockAt: 3,
  logins: 4,
  failures: 5,
  rejections: 6,
  soLogins: 7,
  soFailures: 8,
  initialPin: 9,
  controlVersion: 10,
  absent: 12,
  losses: 13,
  gcm: 14,
  maxSessions: 15,
  fired: 16,
  vendorWrap: 48,
  vendorRsa: 49,
  refusePrivateWrap: 50,
  slots: 51,
  others: 52,
  swapped: 53,
  pinFlags: 54,
  uninitialised: 55,
  noCryptoOfficer: 56,
  freeBytes: 57,
  pinKey: 58,
  label: 64,
  pins: 80
} as const

/** How many of them, where a name stands for several. */
export const lengthOf = { fired: 32, pinKey: 4, label: 8, pins: 64 * 4 } as const
export const words = wordOf.pins + lengthOf.pins

const little = endianness() === 'LE'

/** @param dir the folder given to createLunaToken. */
export const statePath = (dir: string): string => join(dir, 'state')

/** All words; those that an older, shorter file has not are 0. */
export async function readWords(dir: string): Promise<readonly number[]> {
  const file = await readFile(statePath(dir))
  return Array.from({ length: words }, (_, index) => {
    if ((index + 1) * 4 > file.length) return 0
    return little ? file.readUInt32LE(index * 4) : file.readUInt32BE(index * 4)
  })
}

/** In the order given, each word whole, so that a version written last is seen last. */
export async function writeWords(dir: string, values: ReadonlyMap<number, number>): Promise<void> {
  const file = await open(statePath(dir), 'r+')
  try {
    const word = Buffer.alloc(4)
    for (const [index, value] of values) {
      if (little) word.writeUInt32LE(value)
      else word.writeUInt32BE(value)
      await file.write(word, 0, 4, index * 4)
    }
  } finally {
    await file.close()
  }
}

/** Bytes as the words that hold them, zeros behind. */
export function wordsOfText(first: number, count: number, text: string): readonly (readonly [number, number])[] {
  const bytes = Buffer.alloc(count * 4)
  bytes.write(text)
  return Array.from({ length: count }, (_, index) => [
    first + index,
    little ? bytes.readUInt32LE(index * 4) : bytes.readUInt32BE(index * 4)
  ])
}

export function textOfWords(all: readonly number[], first: number, count: number): string {
  const bytes = Buffer.alloc(count * 4)
  for (let index = 0; index < count; index++) {
    const word = all[first + index] ?? 0
    if (little) bytes.writeUInt32LE(word, index * 4)
    else bytes.writeUInt32BE(word, index * 4)
  }
  return bytes.toString('utf8').replace(/\0+$/, '')
}
