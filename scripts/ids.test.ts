/** One id, everywhere: walks the lists of steps, checks and services, and fails on whatever has no counterpart. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { steps } from '../server/install/steps.ts'
import { stepIds } from '../server/steps/step.ts'
import { catalog, serviceNames } from '../services/catalog.ts'

const root = join(import.meta.dirname, '..')
const sorted = (names: readonly string[]) => [...names].sort()

function foldersIn(path: string): string[] {
  const entries = readdirSync(join(root, path), { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

function filesIn(path: string, ending: string): string[] {
  const names = readdirSync(join(root, path))
  for (const name of names) assert.ok(name.endsWith(ending), `${path}/${name} is no ${ending}`)
  return names.map((name) => name.slice(0, -ending.length))
}

test('the table of contents lists every step id once, in the order of the ids', () => {
  assert.deepEqual(
    steps.map(({ id }) => id),
    [...stepIds]
  )
})

test('a step id is its folder, its view and its browser page, and nothing else lies there', () => {
  assert.deepEqual(sorted(foldersIn('server/steps')), sorted(stepIds))
  assert.deepEqual(sorted(filesIn('views/steps', '.eta')), sorted(stepIds))
  // And the page of a job, which belongs to any of them.
  assert.deepEqual(sorted(filesIn('e2e/pages', '.ts')), sorted([...stepIds, 'job']))
})

test('a step folder exports the step that is named after it, and a browser page likewise', () => {
  for (const id of stepIds) {
    const step = readFileSync(join(root, `server/steps/${id}/step.ts`), 'utf8')
    assert.ok(step.includes(`export const ${id}Step = defineStep`), `server/steps/${id}/step.ts`)
    assert.ok(step.includes(`id: '${id}'`), `server/steps/${id}/step.ts has another id`)
    const page = readFileSync(join(root, `e2e/pages/${id}.ts`), 'utf8')
    assert.ok(page.includes(`export const ${id}Page`), `e2e/pages/${id}.ts`)
  }
})

test('a check id begins with the id of its step, says what it is, and is there once', async () => {
  const ofStep = async ({ id, checkIds }: (typeof steps)[number]) => (await checkIds()).map((check) => ({ id, check }))
  const all = (await Promise.all(steps.map(ofStep))).flat()
  assert.ok(all.length > 30, `only ${all.length} checks found`)
  for (const { id, check } of all) {
    assert.match(check, /^[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*$/)
    assert.ok(check.startsWith(`${id}.`), `${check} stands in step ${id}`)
  }
  const names = all.map(({ check }) => check)
  assert.deepEqual(sorted(names), sorted([...new Set(names)]))
})

test('what a step makes stale, prefills from or asks for by condition is there', () => {
  for (const { id, makesStale, fields, secretsBoundTo } of steps) {
    const later = stepIds.slice(stepIds.indexOf(id) + 1)
    for (const stale of makesStale)
      assert.ok(later.includes(stale), `${id} makes ${stale} stale, which comes before it`)
    for (const name of secretsBoundTo) assert.ok(name in fields, `${id} binds secrets to ${name}`)
    for (const [name, { onlyWhen, prefillFrom }] of Object.entries(fields)) {
      if (onlyWhen !== undefined) assert.ok(onlyWhen.field in fields, `${id}.${name} depends on ${onlyWhen.field}`)
      const [from, field] = prefillFrom?.split('.') ?? []
      if (from === undefined || field === undefined) continue
      const source = steps.find((step) => step.id === from)
      assert.ok(source !== undefined && field in source.fields, `${id}.${name} is prefilled from ${prefillFrom}`)
    }
  }
})

test('a service of the catalogue is a folder with a program, under its own name and port', () => {
  // Beside them: what their tests share.
  assert.deepEqual(sorted(foldersIn('services').filter((name) => name !== 'testing')), sorted(serviceNames))
  for (const name of serviceNames) {
    const { name: own, program, needs, port } = catalog[name]
    assert.equal(own, name)
    assert.equal(program, `services/${name}/main.ts`)
    assert.ok(existsSync(join(root, program)), program)
    for (const needed of needs) assert.ok(serviceNames.includes(needed), `${name} needs ${needed}`)
    assert.deepEqual(
      serviceNames.filter((other) => catalog[other].port === port),
      [name]
    )
  }
})
