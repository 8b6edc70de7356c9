/**
 * Validates JSON against the part of JSON Schema 2020-12 that our zod schemas become. A keyword that it does not know fails
 * the test instead of being passed over; `format` is the one that is only said (zod writes the pattern beside it).
 */
import { isDeepStrictEqual } from 'node:util'

type Json = Readonly<Record<string, unknown>>

const words = ['$schema', 'title', 'description', 'default', 'writeOnly', 'format', 'propertyNames']

/** @returns what is wrong, each with its place; nothing when all is well */
export function violations(schema: unknown, value: unknown, document: Json, at = ''): string[] {
  if (schema === true) return []
  const rules = schema as Json
  return Object.entries(rules).flatMap(([keyword, rule]) => {
    if (words.includes(keyword)) return []
    const check = keywords[keyword]
    if (check === undefined) throw new Error(`the validator does not know ${keyword}`)
    return check({ rule, rules, value, at, document })
  })
}

interface Case {
  readonly rule: unknown
  readonly rules: Json
  readonly value: unknown
  readonly at: string
  readonly document: Json
}

type Keyword = (asked: Case) => string[]

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const unless = (ok: boolean, at: string, why: string) => (ok ? [] : [`${at || '/'}: ${why}`])

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null
}

const fitting = ({ rule, value, at, document }: Case) =>
  (rule as readonly unknown[]).filter((member) => violations(member, value, document, at).length === 0).length

const ofNumber =
  (ok: (value: number, limit: number) => boolean): Keyword =>
  ({ rule, value, at }) =>
    typeof value === 'number' ? unless(ok(value, Number(rule)), at, `${value} against ${rule}`) : []
const ofLength =
  (ok: (length: number, limit: number) => boolean): Keyword =>
  ({ rule, value, at }) =>
    typeof value === 'string' || Array.isArray(value)
      ? unless(ok(value.length, Number(rule)), at, `length ${value.length} against ${rule}`)
      : []

const keywords: Readonly<Record<string, Keyword>> = {
  type: ({ rule, value, at }) =>
    unless(
      [rule].flat().some((type) => types[String(type)]?.(value)),
      at,
      `${JSON.stringify(value)?.slice(0, 60)} is no ${rule}`
    ),
  const: ({ rule, value, at }) => unless(isDeepStrictEqual(value, rule), at, `is not ${JSON.stringify(rule)}`),
  enum: ({ rule, value, at }) =>
    unless((rule as readonly unknown[]).includes(value), at, `${JSON.stringify(value)} is none of ${rule}`),
  pattern: ({ rule, value, at }) =>
    typeof value === 'string' ? unless(new RegExp(String(rule), 'u').test(value), at, `does not match ${rule}`) : [],
  minLength: ofLength((length, limit) => length >= limit),
  maxLength: ofLength((length, limit) => length <= limit),
  minItems: ofLength((length, limit) => length >= limit),
  maxItems: ofLength((length, limit) => length <= limit),
  minimum: ofNumber((value, limit) => value >= limit),
  maximum: ofNumber((value, limit) => value <= limit),
  required: ({ rule, value, at }) =>
    isObject(value)
      ? (rule as readonly string[]).flatMap((name) => unless(Object.hasOwn(value, name), at, `${name} is missing`))
      : [],
  properties: ({ rule, value, at, document }) =>
    isObject(value)
      ? Object.entries(rule as Json).flatMap(([name, member]) =>
          Object.hasOwn(value, name) ? violations(member, value[name], document, `${at}/${name}`) : []
        )
      : [],
  additionalProperties: ({ rule, rules, value, at, document }) => {
    if (!isObject(value)) return []
    const known = isObject(rules.properties) ? rules.properties : {}
    const others = Object.keys(value).filter((name) => !Object.hasOwn(known, name))
    if (rule === false) return others.map((name) => `${at}/${name}: is not described`)
    return others.flatMap((name) => violations(rule, value[name], document, `${at}/${name}`))
  },
  items: ({ rule, value, at, document }) =>
    Array.isArray(value) ? value.flatMap((item, index) => violations(rule, item, document, `${at}/${index}`)) : [],
  anyOf: (asked) => unless(fitting(asked) > 0, asked.at, `${JSON.stringify(asked.value)?.slice(0, 60)} fits none`),
  oneOf: (asked) => unless(fitting(asked) === 1, asked.at, `fits ${fitting(asked)}, not one`),
  $ref: ({ rule, value, at, document }) => violations(resolved(String(rule), document), value, document, at)
}

function resolved(reference: string, document: Json): unknown {
  const found = reference
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((place, name) => (isObject(place) ? place[name] : undefined), document)
  if (found === undefined) throw new Error(`${reference} leads nowhere`)
  return found
}
