/** docs/guide.md against what is there: every item of the guide once, and every file, test, page and rung that it names. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { steps } from '../server/install/steps.ts'
import { stepIds } from '../server/steps/step.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/guide.md'), 'utf8')

interface Row {
  readonly id: string
  readonly item: string
  readonly state: string
  readonly here: string
  readonly proof: string
}

const rows: readonly Row[] = page.split('\n').flatMap((line) => {
  const [id, item, state, here, proof] = line
    .replace(/^\| |\|$/g, '')
    .split(' | ')
    .map((cell) => cell.trim())
  if (!line.startsWith('| ') || id === undefined || !/^[A-Z]\d+$/.test(id)) return []
  assert.ok(item && state && here && proof !== undefined, `five cells: ${line}`)
  return [{ id, item, state, here, proof }]
})

const upTo = (letter: string, last: number) => Array.from({ length: last }, (_, index) => `${letter}${index + 1}`)
const proofs = rows.flatMap(({ id, proof }) =>
  [...proof.matchAll(/`([^`]+)`(?: "([^"]+)")?/g)].map(([, file = '', title]) => ({ id, file, title }))
)

test('every requirement, prerequisite, item, figure and table of the guide has its row, once', () => {
  const wanted = [
    ...upTo('S', 69),
    ...upTo('H', 8),
    ...upTo('D', 15),
    ...upTo('R', 3),
    ...['F2', 'F3', 'F6'],
    ...upTo('T', 4),
    ...upTo('I', 7)
  ]
  assert.deepEqual(
    rows.map(({ id }) => id),
    wanted
  )
})

test('what is said to be there names its proof, and what is not there names none', () => {
  for (const { id, state, proof } of rows) {
    assert.ok(['yes', 'in part', 'told', 'no'].includes(state), `${id}: ${state}`)
    if (state === 'yes') assert.notEqual(proof, '', `${id} is said to be so, by no test`)
    if (state === 'no') assert.equal(proof, '', `${id} is said not to be there, and proved`)
  }
})

test('every proof is a test of that name in that file', () => {
  assert.ok(proofs.length > 80, `only ${proofs.length} proofs found`)
  for (const { id, file, title } of proofs) {
    assert.ok(existsSync(join(root, file)), `${id}: there is no ${file}`)
    assert.match(file, /\.(test|spec)\.ts$/, `${id}: ${file} is no test`)
    const names = [...readFileSync(join(root, file), 'utf8').matchAll(/\b(?:test|it)\(\s*(['"])(.*?)\1,\s/g)]
    assert.ok(
      names.some(([, , name]) => name === title),
      `${id}: ${file} has no test "${title}"`
    )
  }
})

test('every page and rung that it names is there', async () => {
  const known = new Set((await Promise.all(steps.map(({ checkIds }) => checkIds()))).flat())
  const named = [...page.matchAll(/`([^`\s]+)`/g)].map(([, name = '']) => name)
  for (const name of named) {
    const [, step] = /^\/setup\/steps\/(.*)$/.exec(name) ?? []
    if (step !== undefined) assert.ok(stepIds.includes(step as (typeof stepIds)[number]), name)
    const [, help] = /^\/help\/([a-z]+)$/.exec(name) ?? []
    if (help !== undefined) assert.ok(existsSync(join(root, `views/help/${help}.eta`)), name)
    if (/^kms\.[a-z-]+$/.test(name)) assert.ok(known.has(name), `there is no check ${name}`)
    if (/^(server|services|lib|scripts|sandbox|e2e)\//.test(name)) assert.ok(existsSync(join(root, name)), name)
  }
})
