import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import Fastify from 'fastify'
import { type Kms, registerRoutes } from './app.ts'
import { allEndpoints, openApiDocument } from './open-api.ts'

const document = JSON.parse(JSON.stringify(openApiDocument()))
const operations = Object.values(document.paths).flatMap((path) => Object.values(path as object))

test('docs/kms-openapi.json is the document that the KMS serves', () => {
  const file = new URL('../../docs/kms-openapi.json', import.meta.url)
  const write =
    `node --input-type=module -e "import { openApiDocument } from './services/kms/open-api.ts';` +
    ` console.log(JSON.stringify(openApiDocument(), null, 2))" > docs/kms-openapi.json`
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), document, `write it anew: ${write}`)
})

test('every route is in it, and it has no other', () => {
  const app = Fastify()
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    if (method !== 'HEAD') routes.push(`${method} ${url}`)
  })
  registerRoutes(app, {} as Kms)
  assert.deepEqual(
    routes.sort(),
    Object.values(allEndpoints)
      .map(({ method, path }) => `${method} ${path}`)
      .sort()
  )
  assert.equal(operations.length, routes.length)
})

test('it is OpenAPI 3.1: operations have one name each, path parameters are described, references lead somewhere', () => {
  assert.match(document.openapi, /^3\.1\.\d$/)
  const ids = operations.map(({ operationId }) => operationId)
  assert.equal(new Set(ids).size, ids.length)
  for (const [path, methods] of Object.entries<Record<string, { parameters?: { name: string; in: string }[] }>>(
    document.paths
  )) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    for (const { parameters = [] } of Object.values(methods)) {
      assert.deepEqual(
        parameters.map(({ name }) => name),
        named,
        path
      )
    }
  }
  for (const [, reference = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const target = reference.split('/').reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], document)
    assert.ok(target, reference)
  }
})

test('a CA key issues what the profile engine builds and nothing else: no call takes a digest, a certificate or a name to sign', () => {
  const issuing = ['tenant-ca', 'service-ca']
  for (const operation of operations) {
    const uses: { purpose: string; to: string }[] = operation['x-keyscaler-keys']
    const ofCas = uses.filter(({ purpose }) => issuing.includes(purpose)).map(({ to }) => to)
    for (const to of ofCas) assert.match(to, /^(create|list|issue certificates|destroy)$/, operation.operationId)
    if (ofCas.includes('issue certificates')) {
      assert.ok(
        uses.every(({ purpose }) => issuing.includes(purpose)),
        `${operation.operationId} uses a CA key and another`
      )
    }
    // Members of every depth.
    const members = [...JSON.stringify(operation.requestBody ?? {}).matchAll(/"(\w+)":\{/g)].map(([, name]) => name)
    for (const name of members)
      assert.doesNotMatch(String(name), /digest|hash|tbs|toBeSigned|publicKey$/i, operation.operationId)
  }
  const signing = operations.filter((operation) =>
    operation['x-keyscaler-keys'].some(({ to }: { to: string }) => to === 'sign messages')
  )
  assert.deepEqual(
    signing.map(({ operationId }) => operationId),
    ['signMessage', 'signMessages']
  )
})

test('no request names a wrapping mechanism, and no answer has a member for a key of the token', () => {
  for (const { operationId, requestBody, responses } of operations) {
    const answered = JSON.stringify(responses['200'])
    assert.doesNotMatch(answered, /"(privateKey|secretKey|value|pkcs8|material|keyBytes)"/i, operationId)
    if (/wrap/i.test(JSON.stringify(requestBody ?? {}))) {
      assert.equal(operationId, 'unwrapDataKey')
    }
    // In clear leaves a data key, which the token never had as an object.
    if (/"plaintext"/.test(answered)) assert.match(operationId, /^(newDataKey|unwrapDataKey)$/)
  }
})
