/** A copy of the checkout of its own, since only there sources may be changed: compiled, changed, moved and damaged. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fromRoot } from '../sandbox/root.ts'
import { provideCommand } from '../scripts/prepare/command.mjs'
import { compiledFolder, findCompiledCommand, recordOfCompiled } from './compiled-command.mjs'
import { whatStands, wholeInstall } from './testing/witness.ts'
import { type InstallWorld, openInstallWorld } from './testing/world.ts'

const dir = mkdtempSync(join(tmpdir(), 'ks-compiled-'))
const root = join(dir, 'checkout')
const temporary = join(dir, 'tmp')
const codeFolder = join(temporary, `keyscaler-compiled-${process.getuid?.()}`)
let world: InstallWorld | undefined
after(async () => {
  await world?.close()
  rmSync(dir, { recursive: true, force: true })
})

const keyscaler = (args: readonly string[], at = root) => {
  const { NODE_COMPILE_CACHE, ...rest } = process.env
  const env = { ...rest, TMPDIR: temporary }
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(at, 'server/cli.mjs'), ...args], {
    encoding: 'utf8',
    env
  })
  return { status, stdout, stderr }
}
/** Code that V8 kept of the compiled command: only a run of that one leaves any. */
const codeOf = (command: string) =>
  readdirSync(codeFolder).filter((name) => name.startsWith(`keyscaler-${command}-`) && !name.includes('.'))
const compiledName = () => readdirSync(compiledFolder(root)).find((name) => name.endsWith('.cjs')) ?? ''
const forget = () => rmSync(codeFolder, { recursive: true, force: true })

before(() => {
  mkdirSync(root)
  mkdirSync(temporary)
  for (const part of [
    'lib',
    'migrations',
    'packaging',
    'public',
    'server',
    'services',
    'views',
    'package.json',
    'tsconfig.json'
  ])
    cpSync(fromRoot(part), join(root, part), { recursive: true, preserveTimestamps: true })
  mkdirSync(join(root, 'scripts/prepare'), { recursive: true })
  cpSync(fromRoot('scripts/prepare/command.mjs'), join(root, 'scripts/prepare/command.mjs'))
  symlinkSync(fromRoot('node_modules'), join(root, 'node_modules'))
})

describe('keyscaler', () => {
  const small = ['token', '--help']
  const asked = [small, ['config', 'defaults'], ['config', 'validate', '/nothing/answers.yaml'], ['--help']]
  let fromSources: readonly ReturnType<typeof keyscaler>[]

  test('runs from its sources where nothing was compiled', () => {
    fromSources = asked.map((args) => keyscaler(args))
    assert.deepEqual(
      fromSources.map(({ status }) => status),
      [0, 0, 3, 0]
    )
    assert.deepEqual(codeOf('config'), [])
  })

  test('installs from its sources, and plans and applies the same compiled, where there is nothing to change', async () => {
    world = await openInstallWorld({ checkout: root })
    const answers = world.answersFile()
    const { code, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 0, stderr)
    assert.deepEqual(await whatStands(world), wholeInstall)
    const plan = await world.plan(answers, '--output', 'json').ended
    await provideCommand(root)
    assert.ok(findCompiledCommand(root))
    assert.deepEqual(await world.plan(answers, '--output', 'json').ended, plan)
    const again = await world.apply(answers, '--exit').ended
    assert.deepEqual([again.code, JSON.parse(again.stdout).changed], [0, false], again.stderr)
  })

  test('says the same compiled, the first time and with the code that was kept', async () => {
    // It is read as one byte a character; read-lunacm.ts has an arrow in its expressions.
    const text = readFileSync(join(compiledFolder(root), compiledName()), 'latin1')
    assert.doesNotMatch(text, /[^\0-\x7f]/)
    assert.match(text, /\\u2192/)
    for (const time of [1, 2]) {
      for (const [index, args] of asked.entries())
        assert.deepEqual(keyscaler(args), fromSources[index], `${time}: ${args}`)
      assert.equal(codeOf('config').length, 1)
    }
  })

  test('keeps no code of a command that failed, nor of what is none', () => {
    forget()
    keyscaler(['config', 'validate', '/nothing/answers.yaml'])
    keyscaler(['../../x'])
    keyscaler(['--version'])
    const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    assert.deepEqual(
      paths.filter((path) => /(^|\/)keyscaler-[^/]*$/.test(path)).sort(),
      [`checkout/.cache/command/${compiledName()}`, `tmp/keyscaler-compiled-${process.getuid?.()}`].sort()
    )
  })

  test('keeps more code when a later run needed more, and no more when it did not', () => {
    forget()
    const size = () => readFileSync(join(codeFolder, codeOf('config')[0] ?? '')).length
    keyscaler(['config', '--help'])
    const ofHelp = size()
    const [first = 0, second, third] = [1, 2, 3].map(() => {
      assert.equal(keyscaler(['config', 'schema']).status, 0)
      return size()
    })
    assert.ok(first > ofHelp)
    assert.deepEqual([second, third], [first, first])
  })

  test('is not misled by code that is damaged, and replaces it', () => {
    forget()
    keyscaler(small)
    const kept = join(codeFolder, codeOf('token')[0] ?? '')
    const whole = readFileSync(kept)
    for (const damaged of [
      Buffer.alloc(whole.length),
      whole.subarray(0, whole.length / 2),
      Buffer.of(),
      flipped(whole)
    ]) {
      writeFileSync(kept, damaged)
      assert.deepEqual(keyscaler(small), fromSources[0])
      assert.ok(readFileSync(kept).length > whole.length * 0.9)
    }
  })

  test('runs from its sources when one of them has changed, until it is compiled again, which forgets the older code', async () => {
    const [older] = codeOf('token')
    assert.ok(older)
    const source = join(root, 'server/command.ts')
    writeFileSync(source, readFileSync(source, 'utf8').replace('Installs KeyScaler', 'Installs XeyScaler'))
    assert.match(keyscaler(['--help']).stdout, /Installs XeyScaler/)
    assert.equal(findCompiledCommand(root), undefined)
    await provideCommand(root)
    assert.match(keyscaler(['--help']).stdout, /Installs XeyScaler/)
    assert.equal(readdirSync(compiledFolder(root)).length, 2)
    assert.deepEqual(keyscaler(small), fromSources[0])
    assert.equal(codeOf('token').length, 1)
    assert.notEqual(codeOf('token')[0], older)
  })

  test('runs from its sources in a checkout that was moved', () => {
    const moved = join(dir, 'moved')
    renameSync(root, moved)
    forget()
    assert.deepEqual(keyscaler(small, moved), fromSources[0])
    assert.deepEqual(codeOf('token'), [])
    renameSync(moved, root)
  })

  test('runs from its sources when what was compiled is damaged, gone, or could have been written by others', () => {
    const file = join(compiledFolder(root), compiledName())
    const whole = readFileSync(file)
    const damages: Readonly<Record<string, () => void>> = {
      'cut off': () => writeFileSync(file, whole.subarray(0, whole.length / 2)),
      'of the same length': () => writeFileSync(file, Buffer.alloc(whole.length, '(')),
      'that do nothing': () => writeFileSync(file, '(function () {})'.padEnd(whole.length)),
      gone: () => rmSync(file),
      'recorded by nobody': () => writeFileSync(recordOfCompiled(root), ''),
      'open to others': () => chmodSync(compiledFolder(root), 0o775)
    }
    const record = readFileSync(recordOfCompiled(root))
    for (const [what, damage] of Object.entries(damages)) {
      writeFileSync(file, whole)
      writeFileSync(recordOfCompiled(root), record)
      assert.ok(findCompiledCommand(root))
      forget()
      damage()
      assert.deepEqual(keyscaler(small), fromSources[0], what)
      assert.deepEqual(codeOf('token'), [], what)
    }
  })
})

function flipped(whole: Buffer): Buffer {
  const copy = Buffer.from(whole)
  const middle = whole.length >> 1
  copy.writeUInt8(whole.readUInt8(middle) ^ 0x40, middle)
  return copy
}
