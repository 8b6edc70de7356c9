/** `keyscaler destroy` where something is not there any more: the database, the broker, or all but its own last file. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openBroker } from '../../lib/broker/broker.ts'
import { freePort } from '../../sandbox/ports.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

describe('keyscaler destroy, where something is gone', { concurrency: 1, timeout: 120_000 }, () => {
  let world: InstallWorld
  before(async () => {
    world = await openInstallWorld()
  })
  after(() => world.close())

  async function installed(): Promise<void> {
    const { code, stderr } = await world.apply(world.answersFile(), '--exit').ended
    assert.equal(code, 0, stderr)
  }
  const left = () =>
    JSON.parse(readFileSync(join(world.stateDir, 'left-behind.json'), 'utf8')) as {
      kind: string
      name: string
      outcome: { left: string }
    }[]
  const kinds = () => left().map(({ kind, name }) => `${kind} ${name}`)

  /** By hand, as the list says. */
  async function deleteTopics(): Promise<void> {
    const broker = openBroker({ brokers: String(world.answers.kafka.brokers).split(','), security: 'PLAINTEXT' })
    try {
      for (const { kind, name } of left()) if (kind === 'topic') await broker.deleteTopic(name)
    } finally {
      await broker.close()
    }
  }

  test('a look is had while services and wizard run', async () => {
    await installed()
    const wizard = world.serve()
    await wizard.said(/finished and locked/)
    const { code, stdout } = await world.destroy('--plan').ended
    assert.deepEqual([code, / {2}- service kms\n/.test(stdout)], [0, true])
    await wizard.stop()
  })

  test('without its database it says how to go on without; then this machine is cleared, and the rest is listed', async () => {
    const { database, luna } = world
    const there = await world.destroy('--yes', '--gone', 'database').ended
    assert.deepEqual([there.code, /answers: it is not gone/.test(there.stderr)], [3, true], there.stderr)
    await installed()
    await world.query('DROP DATABASE {db}')
    const refused = await world.destroy('--yes').ended
    assert.deepEqual(
      [refused.code, /Unknown database .*--gone database/s.test(refused.stderr)],
      [6, true],
      refused.stderr
    )
    assert.ok(world.processes().length > 0, 'nothing was begun')

    const { code, stderr } = await world.destroy('--yes', '--gone', 'database').ended
    assert.equal(code, 0, stderr)
    assert.deepEqual(world.processes(), [])
    assert.deepEqual(readdirSync(world.stateDir).sort(), ['left-behind.json', 'license-issuer', 'pin-guard'])
    assert.deepEqual(kinds(), [
      `topic ${database}.devices`,
      `topic ${database}.probe`,
      'key of this install',
      `schema ${database}`
    ])
    assert.match(
      JSON.stringify(left()),
      new RegExp(`${luna.label}, serial ${luna.serial}; the master key has the CKA_ID [0-9a-f]{32}`)
    )
    await deleteTopics()
    for (const name of ['kms', 'dae', 'mqs', 'cp']) await world.query(`DROP USER '${database}_${name}'@'127.0.0.1'`)
  })

  test('without its broker it says how to go on without, and starts no service to ask it', async () => {
    await installed()
    const port = await freePort()
    await world.query(
      `UPDATE {db}.answers SET answer_values = JSON_SET(answer_values, '$.brokers', '127.0.0.1:${port}') WHERE step = 'kafka'`
    )
    const refused = await world.destroy('--yes').ended
    assert.deepEqual(
      [refused.code, /could not be removed.*--gone kafka/s.test(refused.stderr)],
      [6, true],
      refused.stderr
    )
    assert.doesNotMatch(refused.stderr, /Starting the services/)

    const before = left().length
    const { code, stderr } = await world.destroy('--yes', '--gone', 'kafka', '--delete-keys', world.luna.label).ended
    assert.equal(code, 0, stderr)
    assert.deepEqual(kinds().slice(before).sort(), [`topic ${world.database}.devices`, `topic ${world.database}.probe`])
    assert.deepEqual(await world.query(`SHOW DATABASES LIKE '${world.database}'`), [])
  })

  test('cut off between its last two files it is no install any more, and a look takes nothing away', async () => {
    mkdirSync(world.stateDir, { recursive: true })
    const file = join(world.stateDir, 'destroy.json')
    const other = join(world.stateDir, 'of-somebody-else')
    for (const path of [file, other]) writeFileSync(path, '{}', { mode: 0o600 })
    const look = await world.destroy('--plan').ended
    assert.deepEqual([look.code, existsSync(file)], [0, true], look.stderr)
    assert.equal((await world.destroy('--yes').ended).code, 0)
    assert.deepEqual([existsSync(file), existsSync(other)], [false, true])
  })
})
