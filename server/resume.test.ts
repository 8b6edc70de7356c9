/** "Kill -9 during any step's deployment, then start again: it finishes, with one master key, one CA, no orphan process." */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { setLunaFaults } from '../sandbox/luna/state.ts'
import { type StepId, stepIds } from './steps/step.ts'
import type { Keyscaler } from './testing/keyscaler.ts'
import { openScript, type Script } from './testing/script.ts'
import { programsOf, recordedPids, whatStands, wholeInstall } from './testing/witness.ts'
import { type InstallWorld, openInstallWorld } from './testing/world.ts'

/** When to kill: a phase that is told, something that is there to be seen, or an object more in the partition. */
type Sight = (world: InstallWorld) => Promise<boolean> | boolean
type Moment = RegExp | Sight | 'new object'

const row =
  (table: string, condition: string): Sight =>
  async ({ query }) =>
    // Before there is such a table there is no such row.
    (await query(`SELECT 1 FROM {db}.${table} WHERE ${condition}`).catch(() => [])).length > 0
const file =
  (path: string, holds = ''): Sight =>
  ({ stateDir }) =>
    existsSync(join(stateDir, path)) && readFileSync(join(stateDir, path), 'utf8').includes(holds)

/** SoftHSM, behind the partition, keeps each object in a file beside the token's own. */
function objectsIn({ luna }: InstallWorld): number {
  const files = readdirSync(join(luna.confPath, 'tokens'), { recursive: true }).map(String)
  return files.filter((name) => name.endsWith('.object') && !name.endsWith('/token.object')).length
}

describe('kill -9 while steps are deployed', { concurrency: true, timeout: 240_000 }, () => {
  describe('keyscaler serve, answered by a script', { concurrency: 1 }, byScript)
  describe('keyscaler apply, run again', { concurrency: 1 }, byAnswersFile)
})

function byScript(): void {
  /** The first moment is met while the step is posted, the others while a started wizard takes it up again. */
  const moments: Partial<Record<StepId, readonly [Moment, ...(RegExp | Sight)[]]>> = {
    database: [/Creating tables: 0003/, /Creating database user .*_mqs/, file('boot.json', '"databaseReady": true')],
    kms: ['new object', /Certificates of KMS/, file('run/kms/pid.json'), /a round trip/],
    account: ['new object', row('participants', "tenant = 'acme'")],
    kafka: [/Creating topic .*\.devices/, /Creating topic .*\.probe/],
    dae: ['new object', file('run/dae/pid.json')],
    mqs: [/starting/, /a probe event/],
    cp: [/waiting until it is ready/, /the login of the first administrator/]
  }
  const cutOff = new Set<StepId>()
  let world: InstallWorld
  let script: Script
  let wizard: Keyscaler
  before(async () => {
    world = await openInstallWorld()
    wizard = world.serve()
    await wizard.said(/^Setup code:/)
    script = await openScript(world)
  })
  after(() => world.close())

  for (const id of stepIds) {
    const [first, ...others] = moments[id] ?? []
    if (first === undefined) {
      test(`${id}: nothing is deployed`, async () => assert.equal(await script.post(id), 'done'))
      continue
    }
    test(`${id}: killed ${others.length + 1} times, and finished by the wizard that is started then`, async (t) => {
      const slow = id === 'kms' || id === 'account' || id === 'dae'
      if (slow) await slowToken(world, true)
      const unfinished = [await killedWhilePosting(id, first)]
      if (slow) await slowToken(world, false)
      for (const moment of others) unfinished.push(await killedWhileResuming(id, moment))
      if (unfinished[0]) cutOff.add(id)
      t.diagnostic(`${unfinished.filter(Boolean).length} of ${unfinished.length} kills left it unfinished`)
      wizard = world.serve()
      await takenUp(id)
    })
  }

  test('at the end there is one of each, and nobody else runs', async () => {
    // One may have been quicker than its kill; were it so with more, this would prove nothing.
    assert.ok(cutOff.size >= Object.keys(moments).length - 1, `cut off: ${[...cutOff]}`)
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('killed after the last step and started again, it adopts what runs', async () => {
    const before = recordedPids(world)
    await wizard.kill()
    wizard = world.serve()
    await wizard.said(/finished and locked/)
    while (!(await allReady())) await pause(20)
    assert.deepEqual(recordedPids(world), before)
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('SIGTERM to the wizard ends it and all that it deployed', async () => {
    assert.equal((await wizard.stop()).code, 0)
    assert.deepEqual(world.processes(), [])
  })

  async function allReady(): Promise<boolean> {
    const answer = await fetch(world.url, { headers: { accept: 'application/json' } })
    const { verdict } = (await answer.json()) as { verdict: { ok: boolean } }
    return verdict.ok
  }

  /**
   * As when the machine loses its power: what the wizard has deployed goes with it, in the same moment.
   * @returns whether the step was left unfinished
   */
  async function killedWhilePosting(id: StepId, moment: Moment): Promise<boolean> {
    const lost = Promise.withResolvers<void>()
    const loses = () => {
      // The wizard first: it could still tell of a service that hung up.
      for (const pid of [wizard.pid, ...world.processes().map((line) => Number.parseInt(line, 10))]) killIfAlive(pid)
      lost.resolve()
    }
    const posting = script.post(id, (phase) => {
      if (moment instanceof RegExp && moment.test(phase)) loses()
    })
    if (!(moment instanceof RegExp)) {
      const before = objectsIn(world)
      const sight: Sight = moment === 'new object' ? () => objectsIn(world) > before : moment
      while (!(await sight(world))) await pause(2)
      loses()
    }
    await Promise.all([wizard.ended, lost.promise])
    return (await posting) === 'cut'
  }

  async function killedWhileResuming(id: StepId, moment: RegExp | Sight): Promise<boolean> {
    wizard = world.serve()
    const killed = moment instanceof RegExp ? wizard.killedWhenItSays(moment) : wizard.killedWhen(() => moment(world))
    const resuming = new AbortController()
    await Promise.race([killed, takenUp(id, resuming.signal)])
    resuming.abort()
    await wizard.kill()
    return (await unfinishedSteps()).includes(id)
  }

  /** The wizard that was just started has finished the step. @throws Error with its words when it could not */
  async function takenUp(id: StepId, wanted = new AbortController().signal): Promise<void> {
    const failed = wizard.said(/could not be finished/).then((line): never => {
      throw new Error(line)
    })
    await Promise.race([script.untilDone(id, wanted), failed])
  }

  async function unfinishedSteps(): Promise<readonly unknown[]> {
    const rows = await world
      .query('SELECT step FROM {db}.answers WHERE applied_at IS NULL')
      .catch(() => [{ step: 'database' }])
    // Until the boot file says that the database is ready, its step is not done, whatever stands in there.
    return rows.length > 0 || file('boot.json', '"databaseReady": true')(world)
      ? rows.map(({ step }) => step)
      : ['database']
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (thrown) {
    // ESRCH: it went with another one.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown
  }
}

/** An HSM takes its time: a kill that is to fall into a login, or between the making of a key and its record, does. */
async function slowToken({ luna }: InstallWorld, slow: boolean): Promise<void> {
  const calls = ['C_Login', 'C_GenerateKey', 'C_GenerateKeyPair', 'C_EncryptInit']
  const rules = [...calls.map((call) => `${call}=lat:200000`), 'C_FindObjectsInit=lat:30000']
  await setLunaFaults(luna.confPath, slow ? rules.join('; ') : '')
}

/** The PIN guard writes down a login before it is sent. */
function loginIsOpen({ stateDir }: InstallWorld): boolean {
  const folder = join(stateDir, 'pin-guard')
  const records = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
  return records.some((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')).open !== null)
}

function byAnswersFile(): void {
  const moments: readonly (readonly [what: string, moment: RegExp | Sight])[] = [
    ['tables are made', /Creating tables: 0007/],
    ['a login is on its way', loginIsOpen],
    ['the CA key is made', (world) => objectsIn(world) > 1],
    ['the KMS is launched', file('run/kms/pid.json')],
    ['the DAE becomes ready', /Device Authority Engine: waiting/],
    ['the Control Panel is launched', file('run/cp/pid.json')]
  ]
  let world: InstallWorld
  let answers: string
  before(async () => {
    world = await openInstallWorld()
    answers = world.answersFile()
  })
  after(() => world.close())

  for (const [what, moment] of moments) {
    test(`killed when ${what}`, async () => {
      await slowToken(world, /login|key/.test(what))
      const apply = world.apply(answers)
      if (moment instanceof RegExp) await apply.killedWhenItSays(moment)
      else await apply.killedWhen(() => moment(world))
      await slowToken(world, false)
    })
  }

  test('run once more it comes to the end: one of each, and nobody else runs', async () => {
    const apply = world.apply(answers)
    const result = JSON.parse(await apply.said(/^\{/))
    assert.deepEqual(Object.keys(result.services), ['kms', 'dae', 'mqs', 'cp'])
    assert.deepEqual(await whatStands(world), wholeInstall)
    assert.equal((await apply.stop()).code, 0)
    assert.deepEqual(programsOf(world), [])
  })
}
