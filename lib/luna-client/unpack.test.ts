import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ArchiveMeter, clientBounds } from './archive-bounds.ts'
import { Staging } from './staging.ts'
import { type ArchiveEntry, tarOf, zipOf } from './testing.ts'
import { unpackTar } from './unpack-tar.ts'
import { unpackZip } from './unpack-zip.ts'

let root: string
let out: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'unpack-'))
  out = join(root, 'out')
  mkdirSync(out)
})
afterEach(() => rmSync(root, { recursive: true }))

const bounds = { ...clientBounds, entries: 20, bytes: 1_000_000, freeBytes: 10_000 }

async function zip(entries: readonly ArchiveEntry[] | Buffer, packed?: number): Promise<void> {
  const bytes = Buffer.isBuffer(entries) ? entries : zipOf(entries)
  writeFileSync(join(root, 'a.zip'), bytes)
  const staging = new Staging(out, new ArchiveMeter(packed ?? bytes.length, bounds))
  await unpackZip(join(root, 'a.zip'), staging, () => false)
}

async function tar(entries: readonly ArchiveEntry[] | Buffer, cut = 100_000): Promise<Staging> {
  const bytes = Buffer.isBuffer(entries) ? entries : tarOf(entries)
  const staging = new Staging(out, new ArchiveMeter(bytes.length, bounds))
  // In odd pieces, so that no header lies whole in one.
  const pieces = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, at) =>
    bytes.subarray(at * cut, (at + 1) * cut)
  )
  await unpackTar(
    (async function* () {
      yield* pieces
    })(),
    staging
  )
  return staging
}

/** Nothing outside the staging folder was touched. */
function onlyInside(): void {
  assert.deepEqual(
    readdirSync(root).filter((name) => name !== 'a.zip'),
    ['out']
  )
}

const leadOut = ['../evil', 'a/../../evil', '/etc/evil', 'C:/evil', 'a\\..\\evil', 'a/\x01b', `${'d/'.repeat(600)}f`]

describe('a zip', () => {
  it('is unpacked, with folders and without setuid', async () => {
    await zip([{ name: 'a/' }, { name: 'a/b.txt', content: 'one' }, { name: 'run', content: 'two', mode: 0o104755 }])
    assert.equal(readFileSync(join(out, 'a/b.txt'), 'utf8'), 'one')
    assert.equal(statSync(join(out, 'run')).mode & 0o7777, 0o700)
    assert.equal(statSync(join(out, 'a/b.txt')).mode & 0o7777, 0o600)
  })

  for (const name of leadOut) {
    it(`is refused with an entry ${JSON.stringify(name.slice(0, 20))}`, async () => {
      await assert.rejects(zip([{ name, content: 'x' }]), { code: 'invalid-input' })
      onlyInside()
    })
  }

  const refusals: readonly (readonly [string, readonly ArchiveEntry[], RegExp])[] = [
    ['a link', [{ name: 'l', content: '/etc/passwd', mode: 0o120777 }], /has a link/],
    ['a wrong checksum', [{ name: 'a', content: 'x', wrongSum: true }], /damaged/],
    ['the same name twice', [{ name: 'a' }, { name: './a' }], /twice/],
    ['a file and a folder of one name', [{ name: 'a', content: 'x' }, { name: 'a/b' }], /should be/],
    ['too many entries', Array.from({ length: 21 }, (_, at) => ({ name: `${at}` })), /more than 20 entries/],
    ['too many bytes', [{ name: 'a', content: randomBytes(1_000_001) }], /more than 1000000 bytes/],
    ['a bomb', [{ name: 'a', content: Buffer.alloc(900_000) }], /more than 100 times its size/]
  ]
  for (const [what, entries, why] of refusals) {
    it(`is refused with ${what}`, async () => assert.rejects(zip(entries), why))
  }

  it('is refused when it is none, or cut off', async () => {
    await assert.rejects(zip(Buffer.from('hello')), /not a zip/)
    const whole = zipOf([{ name: 'a', content: 'x'.repeat(3000) }])
    await assert.rejects(zip(whole.subarray(0, whole.length - 30)), { code: 'invalid-input' })
    await assert.rejects(zip(Buffer.concat([whole.subarray(0, 20), whole.subarray(35)])), { code: 'invalid-input' })
  })
})

describe('a tar', () => {
  it('is unpacked, whatever the pieces: long names, folders, links that stay inside', async () => {
    const deep = `${'folder/'.repeat(20)}file`
    const staging = await tar(
      [
        { name: './d/', type: '5' },
        { name: './d/run', content: 'r'.repeat(1500), mode: 0o4755 },
        { name: deep, content: 'deep' },
        { name: 'd/e/link', type: '2', link: '../run' }
      ],
      333
    )
    assert.equal(readFileSync(join(out, 'd/run'), 'utf8'), 'r'.repeat(1500))
    assert.equal(statSync(join(out, 'd/run')).mode & 0o7777, 0o700)
    assert.equal(readFileSync(join(out, deep), 'utf8'), 'deep')
    assert.deepEqual([...staging.links], [['d/e/link', '../run']])
    assert.ok(!existsSync(join(out, 'd/e/link')))
  })

  it('that GNU tar wrote is read, in its own format and as pax', async () => {
    const deep = `${'x'.repeat(90)}/${'y'.repeat(90)}`
    mkdirSync(join(root, 'in', 'x'.repeat(90)), { recursive: true })
    writeFileSync(join(root, 'in', deep), 'content')
    for (const format of ['gnu', 'pax', 'ustar']) {
      const bytes = execFileSync('tar', [`--format=${format}`, '-C', join(root, 'in'), '-cf', '-', '.'])
      rmSync(out, { recursive: true })
      mkdirSync(out)
      await tar(bytes)
      assert.equal(readFileSync(join(out, deep), 'utf8'), 'content', format)
    }
  })

  it('does not replace what the zip around it brought', async () => {
    writeFileSync(join(out, 'Chrystoki.conf'), 'of the partition')
    await tar([
      { name: './Chrystoki.conf', content: 'a template' },
      { name: 'after', content: 'x' }
    ])
    assert.equal(readFileSync(join(out, 'Chrystoki.conf'), 'utf8'), 'of the partition')
    assert.ok(existsSync(join(out, 'after')))
  })

  for (const name of leadOut.slice(0, 6)) {
    it(`is refused with an entry ${JSON.stringify(name)}`, async () => {
      await assert.rejects(tar([{ name, content: 'x' }]), { code: 'invalid-input' })
      onlyInside()
    })
  }

  const refusals: readonly (readonly [string, readonly ArchiveEntry[], RegExp])[] = [
    ['a link to an absolute path', [{ name: 'l', type: '2', link: '/etc' }], /leads out/],
    ['a link that climbs out', [{ name: 'd/l', type: '2', link: '../../etc' }], /does not stay/],
    [
      'a file through a link',
      [
        { name: 'l', type: '2', link: '.' },
        { name: 'l', content: 'x' }
      ],
      /twice/
    ],
    ['a hard link', [{ name: 'l', type: '1', link: '/etc/passwd' }], /no file, folder or link/],
    ['a FIFO', [{ name: 'f', type: '6' }], /no file, folder or link/],
    ['a device', [{ name: 'c', type: '3' }], /no file, folder or link/],
    [
      'the same name twice',
      [
        { name: 'a', content: '1' },
        { name: './a', content: '2' }
      ],
      /twice/
    ],
    ['too many entries', Array.from({ length: 21 }, (_, at) => ({ name: `${at}` })), /more than 20 entries/]
  ]
  for (const [what, entries, why] of refusals) {
    it(`is refused with ${what}`, async () => assert.rejects(tar(entries), why))
  }

  it('is refused when it is none, damaged, or ends too early', async () => {
    await assert.rejects(tar(Buffer.alloc(2048, 7)), /not a tar/)
    const whole = tarOf([{ name: 'a', content: 'x'.repeat(1000) }])
    whole[3] = 65
    await assert.rejects(tar(whole), /damaged/)
    await assert.rejects(tar(tarOf([{ name: 'a', content: 'x'.repeat(2000) }]).subarray(0, 1024)), /ends too early/)
  })
})
