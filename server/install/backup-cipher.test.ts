/** The envelope of a backup: it opens with its passphrase, and not when a single bit, chunk or byte is another. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { opened, sealed } from './backup-cipher.ts'

const passphrase = 'correct horse battery staple'
const header = 48
const chunk = 65_536 + 16

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
async function allOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
const seal = (plain: Buffer, size = 10_000) => allOf(sealed(inPieces(plain, size), passphrase))
const open = (file: Buffer, word = passphrase, size = 10_000) => allOf(opened(inPieces(file, size), word))

const plain = randomBytes(2 * 65_536 + 1234)
const file = await seal(plain)
/** Of the same, by the same passphrase. Each derives a key, which is meant to cost half a second. */
const other = await seal(plain)

test('what was sealed opens, whatever the sizes of the pieces, and full chunks at the end too', async () => {
  assert.equal(file.length, header + plain.length + 3 * 16)
  assert.ok((await open(file)).equals(plain))
  assert.ok((await open(file, passphrase, 1_000_000)).equals(plain))
  for (const length of [0, 65_536, 65_537]) {
    const some = plain.subarray(0, length)
    assert.ok((await open(await seal(some, 65_536))).equals(some), String(length))
  }
})

test('two backups of the same have nothing in common', async () => {
  assert.ok(!other.subarray(16, 64).equals(file.subarray(16, 64)))
  assert.ok(!other.subarray(header, header + 64).equals(file.subarray(header, header + 64)))
})

test('another passphrase opens nothing; the same one typed as other code points does', async () => {
  await assert.rejects(open(file, `${passphrase} `), {
    code: 'check-failed',
    message: /^The passphrase is another one/
  })
  const accented = await allOf(sealed(inPieces(plain, 1_000_000), 'Caf\u00e9 au lait'))
  assert.ok((await open(accented, 'Cafe\u0301 au lait')).equals(plain))
})

test('a changed bit anywhere is found: in the salt, at both ends of each chunk, in each tag', async () => {
  const places = [16, 47, ...[0, 1, 2].flatMap((number) => [header + number * chunk, header + number * chunk + 65_540])]
  for (const at of [...places, file.length - 1].filter((place) => place < file.length)) {
    const changed = Buffer.from(file)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    await assert.rejects(open(changed), { code: 'check-failed' }, `byte ${at}`)
  }
})

test('cut off at any place, at the border of a chunk too, it does not open', async () => {
  for (const length of [header + chunk, header + 2 * chunk, file.length - 1, header]) {
    await assert.rejects(open(file.subarray(0, length)), { code: 'check-failed' }, `${length} bytes`)
  }
  await assert.rejects(open(file.subarray(0, 40)), { code: 'invalid-input' })
})

test('chunks that are swapped, repeated, left out, appended or of another backup are found', async () => {
  const [head, one, two, three] = [
    file.subarray(0, header),
    file.subarray(header, header + chunk),
    file.subarray(header + chunk, header + 2 * chunk),
    file.subarray(header + 2 * chunk)
  ]
  for (const parts of [
    [head, two, one, three],
    [head, one, one, three],
    [head, one, three],
    [head, one, two, three, three],
    [head, one, two, three, Buffer.from([0])],
    [head, one, other.subarray(header + chunk, header + 2 * chunk), three],
    [other.subarray(0, header), one, two, three]
  ]) {
    await assert.rejects(open(Buffer.concat(parts)), { code: 'check-failed' })
  }
})

test('what is no backup is told as that, without a try of the passphrase', async () => {
  for (const text of ['', 'apiVersion: setup/v1', 'KeyScalerBackup2'.padEnd(200)]) {
    await assert.rejects(open(Buffer.from(text)), { code: 'invalid-input', message: /not a backup/ })
  }
})
