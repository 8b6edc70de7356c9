/**
 * Fastify's options for apps whose requests are read by zod. Its own compilers for JSON Schema, which no route here uses, are a
 * twelfth of what a service loads before it listens.
 */
const compilers = {
  buildValidator: () => refuse,
  buildSerializer: () => refuse
}

function refuse(): never {
  throw new Error('A route has a JSON Schema: requests are read by zod here.')
}

export const noJsonSchemas = { schemaController: { compilersFactory: compilers } }
