/** `keyscaler destroy` from outside: what is gone, what stays and why, and that an install can follow it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openBroker } from '../../lib/broker/broker.ts'
import { readLunaState } from '../../sandbox/luna/state.ts'
import type { DestroyItem } from '../install/destroy.ts'
import { objectsIn, whatStands, wholeInstall } from '../testing/witness.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

/** What was left is still there when another install comes and goes: the list stays until a person takes it away. */
const leftFile = 'left-behind.json'

describe('keyscaler destroy', { concurrency: 1, timeout: 240_000 }, () => {
  let world: InstallWorld
  let answers: string
  before(async () => {
    world = await openInstallWorld()
    answers = world.answersFile()
  })
  after(() => world.close())

  async function installed(): Promise<void> {
    const { code, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 0, stderr)
  }

  async function destroyed(...flags: readonly string[]): Promise<DestroyItem[]> {
    const { code, stdout, stderr } = await world.destroy('--yes', '--output', 'json', ...flags).ended
    assert.equal(code, 0, stderr)
    return itemsOf(stdout)
  }

  /** The last line is how it ended; those before it are what was done on the way, and come to the same. */
  function itemsOf(stdout: string): DestroyItem[] {
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const { items } = told.pop()
    const done = told.filter(({ type }) => type === 'effect').map(({ at, type, ...item }) => item)
    assert.deepEqual(done, items)
    const begun = told.filter(({ type }) => type === 'task').map(({ task }) => task)
    assert.deepEqual([begun.length, begun.at(-1)], [new Set(begun).size, 'around'], 'each kind once')
    const gone = new Set(
      items.filter(({ outcome }: DestroyItem) => outcome === 'removed').map(({ kind }: DestroyItem) => kind)
    )
    for (const { type, task, title } of told) {
      if (type === 'task' && gone.has(task)) assert.doesNotMatch(title, /they stay$/)
      if (type === 'task' && task === 'key' && !gone.has(task)) assert.match(title, /^Keys: they stay$/)
    }
    return items
  }

  /** What an install leaves in the world, as others see it. */
  async function residue() {
    const { query, database, stateDir } = world
    const broker = openBroker({ brokers: String(world.answers.kafka.brokers).split(','), security: 'PLAINTEXT' })
    const { topics } = await broker.metadata()
    await broker.close()
    return {
      schemas: await query(`SHOW DATABASES LIKE '${database}'`),
      users: await query(`SELECT user FROM mysql.user WHERE user LIKE '${database}%'`),
      topics: topics.filter((topic) => topic.startsWith(database)),
      processes: world.processes(),
      // The issuer of the licence was there before; its folder is not ours to take.
      files: existsSync(stateDir)
        ? readdirSync(stateDir).filter((name) => name !== 'license-issuer' && name !== 'pin-guard')
        : []
    }
  }
  const nothing = { schemas: [], users: [], topics: [], processes: [], files: [] }

  test('without an install, or without a yes, it does nothing', async () => {
    const none = await world.destroy('--yes').ended
    assert.deepEqual([none.code, /There is no install in /.test(none.stderr)], [6, true], none.stderr)
    await installed()
    const before = await whatStands(world)
    assert.deepEqual(before, wholeInstall)
    const unasked = await world.destroy().ended
    assert.deepEqual([unasked.code, /asks for --yes/.test(unasked.stderr)], [2, true])
    const plan = await world.destroy('--plan').ended
    assert.equal(plan.code, 0, plan.stderr)
    assert.match(plan.stdout, /^ {2}- topic .*\n(?:.*\n)* {2}- service kms\n(?:.*\n)* {2}- schema /)
    assert.deepEqual(await whatStands(world), before)
  })

  test('refuses a name that is not of this install, before anything is begun', async () => {
    const { luna, database } = world
    const before = await whatStands(world)
    const others = [
      ['--delete-keys', luna.label.slice(1), luna.label],
      ['--delete-database', 'another', database],
      ['--leave-unreadable', 'another', database]
    ] as const
    for (const [option, typed, right] of others) {
      for (const way of ['--yes', '--plan']) {
        const { code, stderr } = await world.destroy(way, option, typed).ended
        assert.deepEqual([code, stderr.includes(`${option} "${right}"`)], [3, true], stderr)
      }
    }
    assert.deepEqual(await whatStands(world), before)
  })

  test('takes away all but the keys, which it names, and lets an install follow', async () => {
    const keys = await objectsIn(world)
    const { logins } = await readLunaState(world.luna.confPath)
    const items = await destroyed()
    const left = items.filter(({ outcome }) => typeof outcome === 'object')
    assert.deepEqual(left.map(({ kind, name }) => `${kind} ${name}`).sort(), [
      'certificate-authority service-ca',
      'certificate-authority tenant/acme',
      'key master',
      'key tenant/acme'
    ])
    for (const { outcome } of left) assert.match(JSON.stringify(outcome), /CKA_ID [0-9a-f]{32}.*--delete-keys/)
    assert.deepEqual(await residue(), { ...nothing, files: [leftFile] })
    assert.match(readFileSync(join(world.stateDir, leftFile), 'utf8'), /CKA_ID/)
    assert.equal((await readLunaState(world.luna.confPath)).logins, logins)
    assert.deepEqual(await objectsIn(world), keys)
    await installed()
  })

  test('destroys keys only when the token is named, with one login, and only its own', async () => {
    const all = await objectsIn(world)
    const { logins } = await readLunaState(world.luna.confPath)
    const items = await destroyed('--delete-keys', world.luna.label)
    assert.deepEqual(
      items.filter(({ outcome }) => typeof outcome === 'object'),
      []
    )
    assert.equal((await readLunaState(world.luna.confPath)).logins - logins, 1)
    assert.equal((await objectsIn(world)).length, all.length / 2)
  })

  test('never drops a database with enrolled devices unless it is named; the rest goes', async () => {
    await installed()
    await world.query(
      `INSERT INTO {db}.devices (id, tenant, name, registration_id, created_at) VALUES (UUID(), 'acme', 'one', UUID(), NOW())`
    )
    const { database, luna } = world
    const plan = await world.destroy('--plan', '--delete-keys', luna.label).ended
    assert.match(
      plan.stdout,
      new RegExp(`schema ${database} \\(stays: 1 devices are enrolled in it: dropped only with`)
    )
    assert.match(plan.stdout, /^ {2}- key master$/m)
    assert.match(
      plan.stdout,
      /its 2 data keys .* unreadable for good; its 1 certificate authorities could issue and renew nothing/
    )
    const before = await whatStands(world)
    const refused = await world.destroy('--yes', '--delete-keys', luna.label).ended
    assert.equal(refused.code, 7, refused.stderr)
    assert.match(refused.stderr, new RegExp(`--delete-database ${database}.*--leave-unreadable ${database}`))
    assert.deepEqual(await whatStands(world), before, 'nothing was begun')

    const { code, stdout, stderr } = await world.destroy(
      ...['--yes', '--output', 'json', '--delete-keys', luna.label, '--leave-unreadable', database]
    ).ended
    assert.equal(code, 0, stderr)
    const items = itemsOf(stdout)
    const schema = items.find(({ kind }) => kind === 'schema')
    assert.match(JSON.stringify(schema?.outcome), /1 devices are enrolled in .*--delete-database/)
    assert.match(stderr, new RegExp(`2 left; they are listed in .*\\n.*\\n.*schema ${database}: left: 1 devices`))
    // Nothing else tells of the keys that an earlier install has left.
    const list = JSON.parse(readFileSync(join(world.stateDir, leftFile), 'utf8')) as (DestroyItem & {
      install: string
    })[]
    const kinds = list.map(({ kind }) => kind)
    assert.deepEqual(kinds.slice(4), ['migration', 'schema'])
    assert.deepEqual(new Set(kinds.slice(0, 4)), new Set(['certificate-authority', 'key']))
    assert.equal(new Set(list.map(({ install }) => install)).size, 2)
    assert.match(JSON.stringify(list), /CKA_ID.*1 devices are enrolled/)
    const after = await residue()
    assert.deepEqual([after.users, after.topics, after.processes, after.schemas.length], [[], [], [], 1])
    await world.query('DROP DATABASE {db}')
    rmSync(join(world.stateDir, leftFile))
  })

  test('killed at any of its effects it goes on, and nothing else may work on the install meanwhile', async () => {
    await installed()
    for (const moment of [/topic .*: removed/, /schema .*: removed/]) {
      await world.destroy('--yes', '--delete-keys', world.luna.label).killedWhenItSays(moment)
      // With the schema gone, the boot file may be, too; then nothing is left to be done.
      if (existsSync(join(world.stateDir, 'boot.json'))) {
        const other = await world.apply(answers, '--exit').ended
        assert.deepEqual([other.code, /is being taken away/.test(other.stderr)], [7, true], other.stderr)
      }
    }
    if (existsSync(join(world.stateDir, 'boot.json'))) await destroyed('--delete-keys', world.luna.label)
    assert.deepEqual(await residue(), nothing)
  })

  test('cut off, it goes on with the names that are given now, and its plan is that of what is left to do', async () => {
    await installed()
    await world.query(
      `INSERT INTO {db}.devices (id, tenant, name, registration_id, created_at) VALUES (UUID(), 'acme', 'one', UUID(), NOW())`
    )
    const { luna, database } = world
    const keys = await objectsIn(world)
    await world.destroy('--yes').killedWhenItSays(/key master: left/)
    const plan = await world.destroy('--plan').ended
    assert.match(plan.stdout, new RegExp(`schema ${database} \\(stays: 1 devices`))
    assert.match(plan.stdout, /key master \(stays: destroyed only with --delete-keys/)
    const items = await destroyed('--delete-keys', luna.label, '--delete-database', database)
    assert.deepEqual(
      items.filter(({ outcome }) => typeof outcome === 'object'),
      []
    )
    assert.ok((await objectsIn(world)).length < keys.length)
    assert.deepEqual(await residue(), nothing)
  })

  test('takes a half-finished install away, too', async () => {
    for (const moment of [/Creating tables: 0009/, /Creating account/]) {
      await world.apply(answers, '--exit').killedWhenItSays(moment)
      await destroyed('--delete-keys', world.luna.label)
      assert.deepEqual(await residue(), nothing, String(moment))
    }
  })
})
