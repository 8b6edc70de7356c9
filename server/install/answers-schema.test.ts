import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { readAnswersFile } from './answers-file.ts'
import { answersSchema } from './answers-schema.ts'
import { answersTemplate } from './answers-template.ts'
import { steps } from './steps.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'answers-schema-'))
after(() => rmSync(folder, { recursive: true }))
const keyscaler = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'server/cli.mjs'), ...args], { encoding: 'utf8' })

describe('the JSON Schema of the answers file', () => {
  const schema: { properties: { steps: { properties: Record<string, StepSchema> } } } = JSON.parse(
    JSON.stringify(answersSchema(steps))
  )
  interface StepSchema {
    readonly oneOf?: readonly StepSchema[]
    readonly properties?: Record<string, { readonly title?: string; readonly writeOnly?: boolean }>
    readonly required?: readonly string[]
  }
  const inSteps = schema.properties.steps.properties

  test('is the one in docs/answers.schema.json (keyscaler config schema > docs/answers.schema.json)', () => {
    assert.deepEqual(JSON.parse(readFileSync(join(root, 'docs/answers.schema.json'), 'utf8')), schema)
  })

  test('has every step and every field, with its label, and says which are secret', () => {
    for (const step of steps) {
      const members = inSteps[step.id]?.oneOf ?? [inSteps[step.id]]
      const named = Object.assign({}, ...members.map((member) => member?.properties ?? {}))
      assert.deepEqual(Object.keys(named).sort(), Object.keys(step.fields).sort(), step.id)
      for (const [name, view] of Object.entries(step.fields)) {
        assert.equal(named[name].title, view.label, name)
        assert.equal(named[name].writeOnly ?? false, view.secret ?? false, name)
      }
    }
  })

  test('asks for what the reader asks for, and for nothing that has a first value of its own', () => {
    assert.deepEqual(inSteps.database?.required, ['dbHost', 'dbName', 'dbUser', 'dbPassword'])
    assert.deepEqual(inSteps.welcome?.required, ['acceptTerms'])
    const [hsm, nss] = inSteps.kms?.oneOf ?? []
    assert.deepEqual(hsm?.required, ['keyStore', 'slot', 'partition', 'password', 'kmsHost'])
    assert.deepEqual(nss?.required, ['keyStore', 'nssFolder', 'nssPassword', 'nssPasswordAgain', 'kmsHost'])
  })
})

test('the template names every field once, and reads as an answers file in which only values are wrong', async () => {
  const text = answersTemplate(steps)
  for (const step of steps) {
    const part = text.slice(text.indexOf(`\n  ${step.id}:`) + 1)
    for (const name of Object.keys(step.fields)) assert.match(part, new RegExp(`^    (?:# )?${name}: `, 'm'))
  }
  const path = join(folder, 'template.yaml')
  writeFileSync(path, text, { mode: 0o600 })
  const error = await readAnswersFile(path, steps, { whole: true }).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof AppError)
  assert.doesNotMatch(error.message, /has no field|no step|not plain YAML/)
  assert.match(error.message, /the file \/path\/of\/a\/0600\/file is missing/)
  assert.equal(keyscaler('config', 'defaults').stdout, text)
})

test('config validate ends with 3 and every problem, and with 0 when nothing is wrong', () => {
  const path = join(folder, 'answers.yaml')
  writeFileSync(path, 'apiVersion: setup/v1\nsteps:\n  databse: {}\n', { mode: 0o600 })
  const wrong = keyscaler('config', 'validate', path)
  assert.equal(wrong.status, 3, wrong.stderr)
  assert.match(wrong.stderr, /answers\.yaml:3:3: there is no step databse .* Did you mean database\?/)
  assert.match(wrong.stderr, /answers\.yaml:2:1: cpHost: You must provide a value for Cp Hostname\./)
})
