/** `keyscaler config validate` over real servers: what it proves, what it costs at the token, and that it leaves nothing. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

describe('keyscaler config validate', { concurrency: 1, timeout: 60_000 }, () => {
  let world: InstallWorld
  before(async () => {
    world = await openInstallWorld()
  })
  after(() => world.close())

  test('answers 0 for a whole file, and asks nobody', async () => {
    const { code, stdout, stderr } = await world.validate(world.answersFile()).ended
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '' }, stderr)
    assert.match(stderr, /is complete\.$/m)
    assert.equal((await readLunaState(world.luna.confPath)).logins, 0)
  })

  test('--live proves every step with one login and makes nothing', async () => {
    const { code, stdout, stderr } = await world.validate(world.answersFile(), '--live', '--output', 'json').ended
    assert.equal(code, 0, stderr)
    const { valid, steps } = JSON.parse(stdout) as { valid: boolean; steps: { step: string; findings: object[] }[] }
    assert.equal(valid, true)
    assert.deepEqual(
      steps.map(({ step }) => step),
      Object.keys(world.answers).filter((step) => step !== 'complete')
    )
    assert.equal(steps.filter(({ findings }) => findings.length > 0).length > 6, true, stdout)
    const { logins, rejections } = await readLunaState(world.luna.confPath)
    assert.deepEqual({ logins, rejections }, { logins: 1, rejections: 0 })
    assert.equal(existsSync(join(world.stateDir, 'boot.json')), false)
    assert.deepEqual(await world.query(`SHOW DATABASES LIKE '${world.database}'`), [])
    assert.deepEqual(world.processes(), [])
  })

  test('--live with a wrong password ends with 4 and the cure; asked again, the token is left in peace', async () => {
    const kms = { ...world.answers.kms, password: 'the-password-of-last-year' }
    const answers = world.answersFile({ kms })
    for (const said of [/The password is not correct/, /was rejected before, so it was not sent again/]) {
      const { code, stderr } = await world.validate(answers, '--live').ended
      assert.equal(code, 4, stderr)
      assert.match(stderr, said)
      assert.match(stderr, /1 checks failed/)
      assert.doesNotMatch(stderr, /the-password-of-last-year/)
    }
    assert.equal((await readLunaState(world.luna.confPath)).rejections, 1)
  })
})
