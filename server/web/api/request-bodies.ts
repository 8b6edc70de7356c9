/** What the calls of setup take, as JSON Schema: fields of the steps, and what stands beside them. */
import { skipSchema, stepSchema } from '../../install/answers-schema.ts'
import { steps } from '../../install/steps.ts'
import type { DefinedStep } from '../../steps/define-step.ts'

export type Json = Readonly<Record<string, unknown>>

export const objectSchema = (properties: Json, required: readonly string[]): Json => ({
  type: 'object',
  properties,
  ...(required.length === 0 ? {} : { required }),
  additionalProperties: false
})

/** Of bodySchemas(). */
export const namedBody = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

const continueAnyway = { type: 'boolean', default: false, description: 'Warnings are accepted.' }

export const wantedSteps: Json = {
  $schema: { type: 'string' },
  apiVersion: { const: 'setup/v1' },
  continueAnyway,
  skip: {
    type: 'array',
    description: 'Checks that are not run, each with the reason; it is kept with the answers.',
    items: skipSchema
  },
  steps: {
    ...objectSchema(Object.fromEntries(steps.map(({ id }) => [id, namedBody(`${id}.answers`)])), []),
    description: 'A step that is absent keeps its answers, and so does a secret.'
  }
}
export const agreedPlan: Json = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'The hash of the plan that is agreed on.'
}

/** What is sent, by the names that operations use: a step's answers alone, and as they are submitted. */
export function bodySchemas(): Readonly<Record<string, Json>> {
  return Object.fromEntries(
    steps.flatMap((step) => [
      [`${step.id}.answers`, stepSchema(step, false)],
      [`${step.id}.submission`, submission(step)]
    ])
  )
}

/** Fields of a step that hold several values. */
export function listFields(step: DefinedStep): readonly string[] {
  const { oneOf, ...schema } = stepSchema(step, false)
  const members = (Array.isArray(oneOf) ? oneOf : [schema]) as readonly { readonly properties: Json }[]
  const fields = members.flatMap(({ properties }) => Object.entries(properties))
  return [...new Set(fields.filter(([, field]) => (field as Json).type === 'array').map(([name]) => name))]
}

/** The answers of a step, and what a script may send beside them. */
function submission(step: DefinedStep): Json {
  const { title, ...schema } = stepSchema(step, false)
  const beside = {
    _continue: { anyOf: [{ const: 'yes' }, { type: 'boolean' }], description: 'yes: warnings are accepted.' },
    _skip: { ...(wantedSteps.skip as Json) },
    _revision: { type: 'integer', description: 'Refused with 409 when the step has another revision by now.' }
  }
  const withOwn = (member: Json): Json => ({ ...member, properties: { ...(member.properties as Json), ...beside } })
  return Array.isArray(schema.oneOf) ? { title, oneOf: schema.oneOf.map(withOwn) } : { title, ...withOwn(schema) }
}

export function changePasswordBody(): Json {
  const kms = steps.find(({ id }) => id === 'kms')
  const members = kms === undefined ? [] : (stepSchema(kms, false).oneOf as readonly { readonly properties: Json }[])
  const { properties = {} } = members.find(({ properties: own }) => 'slot' in own) ?? {}
  const ofKeyStore = ['slot', 'partition', 'serial', 'library', 'confPath', 'password', 'sendAgain', 'confirmLabel']
  const secret = { type: 'string', writeOnly: true }
  const asked = Object.entries(properties).filter(([name]) => ofKeyStore.includes(name))
  return objectSchema({ ...Object.fromEntries(asked), newPassword: secret, newPasswordAgain: secret }, [
    'slot',
    'partition',
    'newPassword',
    'newPasswordAgain'
  ])
}
