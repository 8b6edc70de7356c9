/** The rooms of the house and who may use whom: reads every import statement and refuses the wrong direction. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

/** From a room to the rooms that it may import; the first row whose prefix fits says what a file is. */
const allowed: readonly (readonly [room: string, may: readonly string[]])[] = [
  [
    'server/web',
    [
      'server/web',
      'server/key-store-password',
      'server/install',
      'server/steps',
      'server/checks',
      'server/deploy',
      'lib'
    ]
  ],
  [
    'server/key-store-password',
    ['server/key-store-password', 'server/install', 'server/steps', 'server/checks', 'server/deploy', 'lib']
  ],
  [
    'server/install',
    ['server/install', 'server/steps', 'server/checks', 'server/deploy', 'services/catalog.ts', 'package.json', 'lib']
  ],
  ['server/steps', ['server/steps', 'server/checks', 'server/deploy', 'services/catalog.ts', 'lib']],
  ['server/deploy', ['server/deploy', 'services/catalog.ts', 'lib']],
  ['server/checks', ['server/checks', 'lib']],
  ['server', ['server', 'lib']],
  ['services/kms', ['services/kms', 'services/catalog.ts', 'services/config.ts', 'lib']],
  ['services/dae', ['services/dae', 'services/catalog.ts', 'services/config.ts', 'lib']],
  ['services/mqs', ['services/mqs', 'services/catalog.ts', 'services/config.ts', 'lib']],
  ['services/cp', ['services/cp', 'services/catalog.ts', 'services/config.ts', 'lib']],
  [
    'services/catalog.ts',
    ['services/kms/config.ts', 'services/dae/config.ts', 'services/mqs/config.ts', 'services/cp/config.ts']
  ],
  ['services/config.ts', []],
  ['lib', ['lib']],
  ['sandbox', ['sandbox', 'services/catalog.ts', 'lib']]
]

/** Tests and what only tests use may start the sandbox; demo and e2e use everything from outside. */
const isProof = (file: string) => /\.test\.ts$|\.contract\.ts$|(^|[/-])testing(\.ts$|\/)|^server\/crash\//.test(file)

const files = globSync('{server,services,lib,sandbox}/**/*.{ts,mjs}', { cwd: root }).sort()

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '')
  return found.map((path) => relative(root, join(root, dirname(file), path)))
}

const within = (path: string, room: string) => path === room || path.startsWith(`${room}/`)

test('imports go web -> install -> steps -> checks -> lib and services -> lib, and never back', () => {
  assert.ok(files.length > 100, `only ${files.length} files found`)
  const wrong = files
    .filter((file) => !isProof(file))
    .flatMap((file) => {
      const row = allowed.find(([room]) => within(file, room))
      assert.ok(row, `${file} stands in no room`)
      return importsOf(file)
        .filter((target) => !row[1].some((room) => within(target, room)))
        .map((target) => `${file} -> ${target}`)
    })
  assert.deepEqual(wrong, [])
})

test('nobody but tests imports the sandbox', () => {
  const users = files
    .filter((file) => !within(file, 'sandbox') && !isProof(file))
    .filter((file) => importsOf(file).some((target) => within(target, 'sandbox')))
  assert.deepEqual(users, [])
})

test('only the key store and the test equipment load a PKCS#11 module', () => {
  const loaders = files.filter((file) => /from 'pkcs11js'/.test(readFileSync(join(root, file), 'utf8')))
  assert.ok(loaders.length > 0)
  assert.deepEqual(
    loaders.filter((file) => !['lib/keystore', 'sandbox/luna', 'sandbox/nss'].some((room) => within(file, room))),
    []
  )
})
