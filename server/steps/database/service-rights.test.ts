import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { serviceNames } from '../../../services/catalog.ts'
import { serviceRights } from './service-rights.ts'

const root = resolve(import.meta.dirname, '../../..')
const migrations = globSync('migrations/*.sql', { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'))
const tables = new Set(migrations.flatMap((sql) => /CREATE TABLE IF NOT EXISTS (\w+)/.exec(sql)?.[1] ?? []))

const uses = [
  ['DELETE', /\bDELETE FROM (\w+)/g],
  ['SELECT', /(?<!\bDELETE )\b(?:FROM|JOIN) (\w+)/g],
  ['INSERT', /\bINTO (\w+)/g],
  ['UPDATE', /\bUPDATE (\w+)\s+SET\b/g]
] as const

test('every right is on a table that there is', () => {
  assert.ok(tables.size > 10)
  for (const service of serviceNames) {
    for (const table of Object.keys(serviceRights[service])) assert.ok(tables.has(table), `${service}: ${table}`)
  }
})

for (const service of serviceNames) {
  test(`the ${service} has the rights for every statement in its sources`, () => {
    const sources = globSync(`services/${service}/**/*.ts`, { cwd: root }).filter((file) => !/test/.test(file))
    let statements = 0
    for (const file of sources) {
      const text = readFileSync(join(root, file), 'utf8')
      for (const [right, pattern] of uses) {
        for (const [said, table = ''] of text.matchAll(pattern)) {
          if (!tables.has(table)) continue
          statements++
          const given: readonly string[] = serviceRights[service][table] ?? []
          assert.ok(given.includes(right), `${file}: "${said}" needs ${right} on ${table}`)
        }
      }
    }
    assert.ok(statements > 0)
  })
}
