import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { openLog } from '../../../lib/log/log.ts'
import { lockedApp, setupApp } from '../../app.ts'
import { processTarget } from '../../deploy/targets/process.ts'
import { openInstall } from '../../install/install.ts'
import { steps } from '../../install/steps.ts'
import { violations } from '../../testing/json-schema.ts'
import { openAccess } from '../access.ts'
import { addressesOf } from '../known-addresses.ts'
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

/** Served, and nothing for a script: each with the reason. */
const undescribed: Readonly<Record<string, string>> = {
  'GET /public/*': 'style sheets and scripts of the pages',
  'GET /help/prerequisites': 'a page to be read',
  'GET /help/support': 'a page to be read',
  'GET /help/terms': 'a page to be read',
  'GET /setup': 'leads a browser to the step that is next; scripts ask /setup/progress',
  'GET /setup/api': 'this description as a page',
  'GET /setup/code': 'the form of the one-time code; scripts post it to /setup/session',
  'POST /setup/code': 'that form, answered with a cookie',
  'GET /setup/steps/:id/check': 'where a reload of the page after Test leads',
  'POST /key-store-password/code': 'the form of a code, answered with a cookie; scripts post it to …/session',
  'GET /record': 'the install record as a page; scripts read /record.json'
}

test('every route that is registered, while setup is open and after it, is described or has a reason not to be', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'open-api-'))
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  const options = {
    install,
    access: await openAccess(stateDir),
    suggestions: {},
    finished: async () => {},
    log: openLog('wizard', 'silent'),
    tls: false,
    allowedHosts: ['localhost']
  }
  const apps = { open: await setupApp(options), after: await lockedApp(options) }
  t.after(async () => {
    await Promise.all(Object.values(apps).map((app) => app.close()))
    await install.close()
    rmSync(stateDir, { recursive: true })
  })
  const excused = new Set<string>()
  for (const [when, app] of Object.entries(apps)) {
    await app.ready()
    const served = routesOf(app).filter((route) => !isGone(when, route))
    const described = operations
      .filter(({ served: at = 'open' }) => at === when || at === 'always')
      .map(({ method, path }) => general(`${method} ${path}`.replace(/\{(\w+)\}/g, ':$1')))
    for (const route of served) if (Object.hasOwn(undescribed, route)) excused.add(route)
    // Leads to /setup, which the row of the status says.
    const known = served.filter((route) => !(route in undescribed) && !(when === 'open' && route === 'GET /'))
    assert.deepEqual([...new Set(known)].sort(), [...new Set(described)].sort(), when)
  }
  assert.deepEqual([...excused].sort(), Object.keys(undescribed).sort(), 'a reason for what is not served')
})

/** 410, whatever is asked, but for who asked for the job that locked setup: rows of the open setup say that. */
const isGone = (when: string, route: string) => when === 'after' && / \/setup(\/\*|\/jobs\/.*)?$/.test(route)

const general = (route: string) =>
  route === 'POST /setup/steps/kms/change-password'
    ? route
    : route.replace(/\/setup\/steps\/[a-z]+/, '/setup/steps/:id')

function routesOf(app: FastifyInstance): string[] {
  return addressesOf(app).flatMap(({ url, methods }) =>
    [...methods].filter((method) => method !== 'HEAD').map((method) => `${method} ${url}`)
  )
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
