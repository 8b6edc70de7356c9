/**
 * Every return code at every call, once and for good: what a caller of the key store meets (security.md F03). The expectation is
 * the table in docs/ckr-matrix.md, both ways. KEYSCALER_CKR_MATRIX=all runs every cell; without it, a sample that touches
 * each function and each code.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ckrOf } from './ckr.ts'
import { type Bench, type Cell, newBench, type Outcome } from './ckr-matrix-testing.ts'

const calls = [
  'C_Initialize',
  'C_GetSlotList',
  'C_GetTokenInfo',
  'C_GetMechanismList',
  'C_OpenSession',
  'C_Login',
  'C_FindObjectsInit',
  'C_FindObjects',
  'C_GetAttributeValue',
  'C_GenerateKey',
  'C_GenerateKeyPair',
  'C_SignInit',
  'C_Sign',
  'C_EncryptInit',
  'C_Encrypt',
  'C_DecryptInit',
  'C_Decrypt',
  'C_GenerateRandom',
  'C_GetSessionInfo',
  'C_DestroyObject'
] as const
const codes = [0x05, 0x30, 0x31, 0x54, 0x60, 0x70, 0x90, 0xa0, 0xa3, 0xb1, 0xb3, 0xe0, 0x101, 0x80000024] as const
const lanes = 2

const cells: readonly Cell[] = calls.flatMap((call) =>
  codes.flatMap((code) => [false, true].map((forGood) => ({ call, code, forGood })))
)
/** Two codes of each function, another pair for the next one, by turns once and for good; and always the rejected login. */
const sampled = cells.filter(({ call: name, code: number }, index) => {
  if (name === 'C_Login' && number === 0xa0) return true
  const [call, code] = [Math.floor(index / 28), Math.floor((index % 28) / 2)]
  return (code - call * 3 + 140) % 7 === 0 && (index + call + (code > 6 ? 1 : 0)) % 2 === 0
})
const chosen = process.env.KEYSCALER_CKR_MATRIX === 'all' ? cells : sampled
const nameOf = ({ call, code, forGood }: Cell) => `${call} ${ckrOf(code).name} ${forGood ? 'for good' : 'once'}`

describe(`the CKR matrix (${chosen.length} of ${cells.length} cells)`, { concurrency: false }, () => {
  const met = new Map<string, Outcome | 'X'>()
  const problems: string[] = []
  let rejections = 0

  before(async () => {
    const waiting = [...chosen]
    const lane = async (): Promise<void> => {
      const bench: Bench = await newBench()
      for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
        const outcome = await bench.run(cell).catch((error: unknown) => {
          problems.push(`${nameOf(cell)}: ${error instanceof Error ? error.message : String(error)}`)
          return 'X' as const
        })
        met.set(nameOf(cell), outcome)
      }
      rejections += await bench.end()
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  })

  after(() => process.stdout.write(`${tableOf((cell) => met.get(nameOf(cell)) ?? '·')}\n`))

  it('has no crash, no hang, no wrong output and no call that was not tried', () => {
    assert.deepEqual(problems, [])
    assert.equal(met.size, chosen.length)
  })

  it('costs no login that the token rejects', () => assert.equal(rejections, 0))

  it('answers each cell as docs/ckr-matrix.md says', () => {
    const documented = readTable(readFileSync(join(import.meta.dirname, '../../docs/ckr-matrix.md'), 'utf8'))
    const told = Object.fromEntries(chosen.map((cell) => [nameOf(cell), documented.get(nameOf(cell))]))
    assert.deepEqual(Object.fromEntries(chosen.map((cell) => [nameOf(cell), met.get(nameOf(cell))])), told)
  })

  it('never seals for a code that is not about the PIN, and never serves after one that is', () => {
    for (const cell of chosen) {
      const isPin = ckrOf(cell.code).class === 'pin'
      assert.equal(met.get(nameOf(cell)) === 'P', isPin && cell.call !== 'C_GetMechanismList', nameOf(cell))
    }
  })

  it('loses no key store to one refused request', () => {
    const lost = chosen.filter((cell) => ckrOf(cell.code).class === 'request' && met.get(nameOf(cell)) === 'L')
    assert.deepEqual(lost.map(nameOf), [])
  })
})

function tableOf(outcome: (cell: Cell) => string): string {
  const head = ['function', ...codes.map((code) => `0x${code.toString(16)}`)]
  const rows = calls.map((call) => [
    call,
    ...codes.map((code) => [false, true].map((forGood) => outcome({ call, code, forGood })).join('/'))
  ])
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** The cells of the table in the page, by name. */
function readTable(page: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of page.split('\n').filter((each) => each.startsWith('| C_'))) {
    const [call = '', ...columns] = line
      .split('|')
      .map((text) => text.trim())
      .slice(1, -1)
    columns.forEach((column, index) => {
      const [once = '', always = ''] = column.split('/')
      const code = codes[index] ?? 0
      found.set(nameOf({ call, code, forGood: false }), once)
      found.set(nameOf({ call, code, forGood: true }), always)
    })
  }
  return found
}
