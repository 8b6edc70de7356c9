/** What is wrong with a body that is JSON, before anybody reads what it says: a name that could change a prototype, a nesting without end. */
import type { FastifyInstance } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'

/** The deepest that we read (apply, skip) is 4; what walks a body recursively ends in a RangeError at some thousands. */
const mostDepth = 16

/** Before the first route of `app`. */
export function readJsonBodies(app: FastifyInstance): void {
  const read = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    read(request, body, (error, value: unknown) => {
      // Fastify has the words for what is no JSON for these, too.
      const name = error === null ? null : poisonIn(body)
      const place = error === null ? tooDeep(value) : null
      if (name !== null) done(refused(name, `Nothing here may be named ${name}.`), undefined)
      else if (place !== null) done(refused(place, `${place || 'The body'} is nested too deeply.`), undefined)
      else done(error, value)
    })
  })
}

function refused(place: string, why: string): AppError {
  return new AppError('invalid-input', why, { fields: { [place]: why } })
}

/** @returns the member for which JSON was refused; null for what is none */
function poisonIn(body: string): string | null {
  let name = 'constructor'
  try {
    JSON.parse(body, (key, value) => {
      if (key === '__proto__') name = key
      return value
    })
    return name
  } catch {
    return null
  }
}

/** @returns where it begins to be lists and objects in each other, as `steps/memcached/servers`; null: it is not */
function tooDeep(body: unknown): string | null {
  let level: (readonly [place: string, value: unknown])[] = [['', body]]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > mostDepth) return level[0]?.[0] ?? ''
    level = level.flatMap(([place, value]) => {
      if (Array.isArray(value)) return value.filter(isNest).map((inner) => [place, inner] as const)
      if (!isNest(value)) return []
      const named = Object.entries(value).filter(([, inner]) => isNest(inner))
      return named.map(([name, inner]) => [inFieldOf(place, name), inner] as const)
    })
  }
  return null
}

/** No step has fields in fields: what is named further within belongs to the same one. */
function inFieldOf(place: string, name: string): string {
  if (place === '') return name
  return place.split('/').length < 3 ? `${place}/${name}` : place
}

const isNest = (value: unknown): value is object => typeof value === 'object' && value !== null
