import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLog } from '../../../lib/log/log.ts'
import { setupApp } from '../../app.ts'
import { processTarget } from '../../deploy/targets/process.ts'
import { openInstall } from '../../install/install.ts'
import { steps } from '../../install/steps.ts'
import { violations } from '../../testing/json-schema.ts'
import { openAccess } from '../access.ts'
import { root } from '../product.ts'
import { openApiDocument } from './open-api.ts'
import { operations } from './operations.ts'

const document = JSON.parse(JSON.stringify(openApiDocument()))

test('docs/api/openapi.json is the document that the wizard serves', () => {
  const file = new URL('../../../docs/api/openapi.json', import.meta.url)
  const program = `import { openApiDocument } from './server/web/api/open-api.ts'; console.log(JSON.stringify(openApiDocument()))`
  const write = `node --input-type=module -e "${program}" | npx biome format --stdin-file-path=openapi.json > docs/api/openapi.json`
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), document, `write it anew: ${write}`)
})

test('it is OpenAPI 3.1: one name an operation, path parameters described, references lead somewhere', () => {
  assert.match(document.openapi, /^3\.1\.\d$/)
  const ids = operations.map(({ operationId }) => operationId)
  assert.equal(new Set(ids).size, ids.length)
  for (const [path, methods] of Object.entries<Record<string, { parameters?: { name?: string }[] }>>(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    for (const { parameters = [] } of Object.values(methods)) {
      const named = parameters.flatMap(({ name }) => name ?? [])
      assert.deepEqual(named, inPath, path)
    }
  }
  for (const [, reference = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const target = reference.split('/').reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], document)
    assert.ok(target, reference)
  }
})

/** Pages, and what leads from one page to another: nothing for a script. */
const pagesOnly = ['GET /setup', 'GET /setup/code', 'POST /setup/code', 'GET /setup/steps/:id/check', 'GET /setup/api']

test('every address of setup is in it, and it has no other', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'open-api-'))
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  const options = { install, access: await openAccess(stateDir), suggestions: {}, finished: async () => {} }
  const app = await setupApp({
    ...options,
    log: openLog('wizard', 'silent'),
    tls: false,
    allowedHosts: ['localhost']
  })
  t.after(async () => {
    await app.close()
    await install.close()
    rmSync(stateDir, { recursive: true })
  })
  await app.ready()
  const routes = routesOf(app.printRoutes({ commonPrefix: false }))
  const served = routes.filter((route) => / \/(setup|problems|healthz)\b/.test(route) && !pagesOnly.includes(route))
  const expected = operations.map(({ method, path }) => `${method} ${path}`.replace(/\{(\w+)\}/g, ':$1'))
  const general = (route: string) =>
    route === 'POST /setup/steps/kms/change-password'
      ? route
      : route.replace(/\/setup\/steps\/[a-z]+/, '/setup/steps/:id')
  assert.deepEqual([...new Set(served)].sort(), [...new Set(expected.map(general))].sort())
})

/** `GET /path` a line, of fastify's tree without merged prefixes. */
function routesOf(tree: string): string[] {
  const stack: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', path = '', methods = ''] = /^([│ ├└─]*)(\S*)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    const depth = indent.length / 4
    stack.length = Math.max(0, depth - 1)
    stack.push(path)
    if (methods === '') return []
    return methods
      .split(', ')
      .filter((method) => method !== 'HEAD')
      .map((method) => `${method} ${stack.join('')}`)
  })
}

test('a secret is write-only in every body, and no answer has a member for one', () => {
  const { schemas } = document.components
  for (const step of steps) {
    const text = JSON.stringify(schemas[`${step.id}.submission`])
    for (const [name, view] of Object.entries(step.fields)) {
      if (view.secret !== true) continue
      assert.match(
        text,
        new RegExp(`"${name}":\\{"title":"[^"]+"(,"description":"(?:[^"\\\\]|\\\\.)*")?,"writeOnly":true`),
        name
      )
    }
  }
})

test('the validator of these tests says what is wrong, and refuses keywords that it does not know', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'integer', minimum: 1 }, b: { anyOf: [{ const: 'x' }, { type: 'null' }] } },
    required: ['a'],
    additionalProperties: false
  }
  assert.deepEqual(violations(schema, { a: 1, b: null }, {}), [])
  assert.deepEqual(violations(schema, { a: 0.5, b: 'y', c: 1 }, {}).length, 4)
  assert.deepEqual(violations(schema, {}, {}), ['/: a is missing'])
  assert.throws(() => violations({ unevaluatedProperties: false }, {}, {}), /does not know/)
})
