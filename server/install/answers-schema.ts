/**
 * The answers file described for editors and scripts, generated from the steps' own zod schemas: JSON Schema draft
 * 2020-12. It promises a little less than `readAnswersFile` takes (a tick may be written "yes"), and never more.
 */
import type { DefinedStep } from '../steps/define-step.ts'
import type { FieldView } from '../steps/step.ts'
import { skippableChecks } from './check-classes.ts'

type Json = Readonly<Record<string, unknown>>

const one = (property: string, pattern?: string): Json => ({
  type: 'object',
  properties: { [property]: { type: 'string', ...(pattern === undefined ? { minLength: 1 } : { pattern }) } },
  required: [property],
  additionalProperties: false
})

const definitions: Json = {
  elsewhere: {
    description: 'A value that stands elsewhere: a file, a systemd credential, or an environment variable.',
    oneOf: [one('file'), one('credential', '^[A-Za-z0-9._-]{1,255}$'), one('env', '^[A-Za-z_][A-Za-z0-9_]{0,254}$')]
  }
}

export const skipSchema: Json = {
  type: 'object',
  properties: {
    check: { enum: Object.keys(skippableChecks) },
    reason: { type: 'string', minLength: 3, maxLength: 300 }
  },
  required: ['check', 'reason'],
  additionalProperties: false
}

/** @returns the schema of the whole file, as plain JSON in a stable order */
export function answersSchema(steps: readonly DefinedStep[]): Json {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'KeyScaler Setup answers',
    description: 'Read by keyscaler apply, plan and config validate.',
    type: 'object',
    properties: {
      $schema: { type: 'string' },
      apiVersion: { const: 'setup/v1' },
      continueAnyway: { type: 'boolean', default: false, description: 'Warnings are accepted for the whole run.' },
      skip: {
        type: 'array',
        description: 'Checks that are not run, each with the reason; it is kept with the answers.',
        items: skipSchema
      },
      steps: {
        type: 'object',
        properties: Object.fromEntries(steps.map((step) => [step.id, stepSchema(step)])),
        additionalProperties: false
      }
    },
    required: ['apiVersion', 'steps'],
    additionalProperties: false,
    $defs: definitions
  }
}

/** @param elsewhere false: the values themselves, as a request over HTTP has them; it reads no file of the host */
export function stepSchema(step: DefinedStep, elsewhere = true): Json {
  const { $schema: _said, ...schema } = step.jsonSchema()
  const described = Array.isArray(schema.oneOf)
    ? { oneOf: schema.oneOf.map((member: Json) => objectSchema(member, step, elsewhere)) }
    : objectSchema(schema, step, elsewhere)
  return { title: step.title, ...described }
}

function objectSchema(schema: Json, step: DefinedStep, elsewhere: boolean): Json {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>)
  const chosen = properties.filter(([, value]) => 'const' in value).map(([name, value]) => [name, value.const] as const)
  // What is asked for is the reader's to say: a field with a first value of its own is none that must be there.
  const empty = step.parse(Object.fromEntries(chosen))
  const missing = empty.ok ? [] : Object.keys(empty.fields)
  const required = properties.map(([name]) => name).filter((name) => missing.includes(name))
  const needed = [...chosen.map(([name]) => name), ...required]
  return {
    type: 'object',
    properties: Object.fromEntries(
      properties.map(([name, value]) => [name, fieldSchema(value, step.fields[name], elsewhere)])
    ),
    ...(needed.length === 0 ? {} : { required: needed }),
    additionalProperties: false
  }
}

function fieldSchema(value: Json, view: FieldView | undefined, elsewhere: boolean): Json {
  const words = {
    ...(view === undefined ? {} : { title: view.label }),
    ...(view?.hint === undefined ? {} : { description: view.hint }),
    ...(view?.secret === true ? { writeOnly: true } : {})
  }
  // A choice decides which other fields there are: it stands in the file itself.
  if (!elsewhere || 'const' in value || view?.control === 'checkbox') return { ...words, ...value }
  const { default: initial, ...plain } = value
  return {
    ...words,
    ...(initial === undefined ? {} : { default: initial }),
    anyOf: [plain, { $ref: '#/$defs/elsewhere' }]
  }
}
