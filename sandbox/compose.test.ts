import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { catalog } from '../services/catalog.ts'
import { fromRoot } from './root.ts'

const service = z.looseObject({
  image: z.string().optional(),
  command: z.string().optional(),
  hostname: z.string().optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.unknown()).default({})
})
const compose = z
  .looseObject({
    services: z.record(z.string(), service),
    volumes: z.record(z.string(), z.null()),
    secrets: z.record(z.string(), z.unknown())
  })
  .parse(parse(readFileSync(fromRoot('docker-compose.yml'), 'utf8')))
const of = (name: string): z.infer<typeof service> => {
  const found = compose.services[name]
  assert.ok(found, `there is a service ${name}`)
  return found
}
const wizard = of('wizard')

test('the wizard publishes its own port and the one of every service in the catalogue, unchanged', () => {
  const ports = ['8443', ...Object.values(catalog).map((entry) => String(entry.port))]
  assert.deepEqual(
    wizard.ports,
    ports.map((port) => `${port}:${port}`)
  )
  assert.match(String(wizard.command), /--port 8443$/)
})

test('the address that it names for the services is the container itself, where published ports lead, not its loopback', () => {
  const text = readFileSync(fromRoot('docker-compose.yml'), 'utf8')
  const named = /https:\/\/(\S+) for KMS/.exec(text)?.[1]
  assert.notEqual(named, 'localhost')
  assert.equal(wizard.hostname, named)
})

test("the wizard's command names flags that keyscaler has, and its state folder is a volume", () => {
  const { stdout } = spawnSync(process.execPath, [fromRoot('server/cli.mjs'), 'serve', '--help'], { encoding: 'utf8' })
  const [node, program, command, ...args] = String(wizard.command).split(' ')
  assert.deepEqual([node, program, command], ['node', 'server/cli.mjs', 'serve'])
  for (const flag of args.filter((word) => word.startsWith('--'))) assert.ok(stdout.includes(`${flag} <`), flag)
  const state = args[args.indexOf('--state') + 1]
  assert.ok(wizard.volumes.includes(`state:${state}`))
})

test('every volume and secret that is used is declared, and the other way round', () => {
  const all = Object.values(compose.services)
  const named = all.flatMap((each) => each.volumes.map((volume) => String(volume.split(':')[0])))
  assert.deepEqual(named.sort(), Object.keys(compose.volumes).sort())
  assert.deepEqual(all.flatMap((each) => each.secrets).sort(), Object.keys(compose.secrets).sort())
  for (const needed of all.flatMap((each) => Object.keys(each.depends_on))) of(needed)
})

test('Kafka is the release that the sandbox runs, and creates no topic by itself either', () => {
  const pom = readFileSync(fromRoot('sandbox/kafka/pom.xml'), 'utf8')
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(pom)?.[1]
  assert.equal(of('kafka').image, `apache/kafka:${version}`)
  assert.equal(of('kafka').environment.KAFKA_AUTO_CREATE_TOPICS_ENABLE, 'false')
})

const client = spawnSync('docker', ['compose', 'version'])
const skip = client.status === 0 ? false : 'docker compose is not installed here'
test('docker compose accepts the file', { skip }, () => {
  const { status, stderr } = spawnSync('docker', ['compose', '-f', fromRoot('docker-compose.yml'), 'config', '--quiet'])
  assert.equal(status, 0, String(stderr))
})
