/** The partition's memory, seen from outside: `struct state` of luna.h, words of 32 bits in the machine's order. */
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { join } from 'node:path'

/** What the partition remembers, over all processes. */
export interface LunaState {
  /** The slot number under which it shows itself. */
  readonly slot: number
  /** Wrong user PINs in a row that lock it. */
  readonly lockAt: number
  /** Calls of C_Login as Crypto Officer, refused ones included. */
  readonly logins: number
  /** Wrong user PINs since the last right one (C_Login and C_SetPIN). */
  readonly failures: number
  /** Wrong user PINs ever. */
  readonly rejections: number
  readonly soLogins: number
  readonly soFailures: number
  /** The PIN is the one that the Partition SO set: CKR_PIN_EXPIRED on the first operation. */
  readonly initialPin: boolean
}

const magic = 0x414e554c
const words = 64
const numbers = { slot: 2, lockAt: 3, logins: 4, failures: 5, rejections: 6, soLogins: 7, soFailures: 8 } as const
const initialPinWord = 9
const faultVersionWord = 10
const firedWords = { first: 16, count: 32 }
const little = endianness() === 'LE'

export const freshState: LunaState = {
  slot: 3,
  lockAt: 10,
  logins: 0,
  failures: 0,
  rejections: 0,
  soLogins: 0,
  soFailures: 0,
  initialPin: false
}

const pathOf = (dir: string) => join(dir, 'state')
const keys = Object.keys(numbers) as (keyof typeof numbers)[]

/** @param dir the folder given to createLunaToken. */
export async function readLunaState(dir: string): Promise<LunaState> {
  const file = await readFile(pathOf(dir))
  const word = (index: number) => (little ? file.readUInt32LE(index * 4) : file.readUInt32BE(index * 4))
  const counted = Object.fromEntries(keys.map((key) => [key, word(numbers[key])])) as Record<
    (typeof keys)[number],
    number
  >
  return { ...counted, initialPin: word(initialPinWord) === 1 }
}

/** Writes the given fields into the running partition; every process sees them at its next call. */
export async function setLunaState(dir: string, change: Partial<LunaState>): Promise<void> {
  const values = new Map<number, number>()
  for (const key of keys) {
    const value = change[key]
    if (value !== undefined) values.set(numbers[key], value)
  }
  if (change.initialPin !== undefined) values.set(initialPinWord, change.initialPin ? 1 : 0)
  await writeWords(dir, values)
}

/**
 * What the partition does wrong from now on: rules as in faults.c, e.g. `C_Login=0xA4*1; C_Sign=lat:2000`; '' = nothing.
 * The file is complete before the version changes, so no process reads half a rule.
 */
export async function setLunaFaults(dir: string, rules: string): Promise<void> {
  const path = `${pathOf(dir)}.faults`
  await writeFile(`${path}.new`, rules, { mode: 0o600 })
  await rename(`${path}.new`, path)
  const fired = Array.from({ length: firedWords.count }, (_, index) => [firedWords.first + index, 0] as const)
  await writeWords(dir, new Map([...fired, [faultVersionWord, (Date.now() % 0xffffffff) + 1]]))
}

/** A new memory. Only for a partition that no process has open: the library keeps the file mapped. */
export async function makeLunaState(dir: string): Promise<void> {
  await writeFile(pathOf(dir), Buffer.alloc(words * 4), { mode: 0o600 })
  await writeWords(
    dir,
    new Map([
      [0, magic],
      [1, 1]
    ])
  )
  await setLunaState(dir, freshState)
}

async function writeWords(dir: string, values: ReadonlyMap<number, number>): Promise<void> {
  const file = await open(pathOf(dir), 'r+')
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
