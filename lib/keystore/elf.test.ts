import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { inspectModuleFile } from './elf.ts'
import { nss } from './profiles/nss.ts'

const folder = mkdtempSync(join(tmpdir(), 'elf-'))
after(() => rmSync(folder, { recursive: true }))
const library = nss.libraryPaths.find((path) => path.includes(process.arch === 'arm64' ? 'aarch64' : 'x86_64')) ?? ''

function changed(name: string, change: (content: Buffer) => Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, change(readFileSync(library)))
  return path
}

function withByte(at: number, value: number): (content: Buffer) => Buffer {
  return (content) => {
    content[at] = value
    return content
  }
}

describe('a library file before it is loaded', () => {
  it('is taken when it is a library for this machine, with its hash', async () => {
    const { problem, sha256, architecture } = await inspectModuleFile(library)
    assert.equal(problem, null)
    assert.match(architecture ?? '', /x86-64|AArch64/)
    assert.equal(execFileSync('sha256sum', [library], { encoding: 'utf8' }).slice(0, 64), sha256)
  })

  const refused: readonly (readonly [string, string, () => string])[] = [
    ['a relative path', 'not-absolute', () => 'libsoftokn3.so'],
    ['no path', 'not-absolute', () => ''],
    ['a path to nothing', 'missing', () => join(folder, 'absent.so')],
    ['a path through a file', 'missing', () => `${library}/inside`],
    ['a folder', 'not-a-file', () => folder],
    ['a device', 'not-a-file', () => '/dev/null'],
    ['a script', 'not-elf', () => changed('text.so', () => Buffer.from('#!/bin/sh\necho this is no library\n'))],
    ['an empty file', 'not-elf', () => changed('empty.so', () => Buffer.alloc(0))],
    ['a library for ARM', 'wrong-architecture', () => changed('arm.so', withByte(18, 40))],
    ['a library of 32 bits', 'not-64-bit', () => changed('class32.so', withByte(4, 1))],
    ['a program', 'not-a-library', () => changed('program', withByte(16, 2))]
  ]
  for (const [title, problem, path] of refused) {
    it(`is refused when it is ${title}`, async () => {
      assert.equal((await inspectModuleFile(path())).problem, problem)
    })
  }

  it('does not wait for a FIFO', async () => {
    execFileSync('mkfifo', [join(folder, 'fifo')])
    assert.equal((await inspectModuleFile(join(folder, 'fifo'))).problem, 'not-a-file')
  })

  it('tells when others may replace it', async () => {
    const path = changed('open.so', (content) => content)
    assert.equal((await inspectModuleFile(path)).writableByOthers, false)
    chmodSync(path, 0o666)
    assert.equal((await inspectModuleFile(path)).writableByOthers, true)
  })
})
