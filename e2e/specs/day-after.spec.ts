/**
 * The Crypto Officer's password over its life: the initial one is changed on step 3, another day it is changed in the HSM
 * behind the back of the KMS. That is sealed by one rejected login, and takes the new password on a page of its own.
 */
import { spawnSync } from 'node:child_process'
import type { Page } from 'playwright/test'
import { startPartitionUser } from '../../sandbox/luna/partition-user.ts'
import { lunaScenarios } from '../../sandbox/luna/scenarios.ts'
import { loginsWith, readLunaState, setLunaState } from '../../sandbox/luna/state.ts'
import { fromRoot } from '../../sandbox/root.ts'
import { newPassword } from '../../sandbox/secrets.ts'
import { checkRow, frameOf } from '../frame.ts'
import { completePage } from '../pages/complete.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { expectAccessible, expectReflow, keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'
import type { World } from '../world/world.ts'

test('an expired password is changed on step 3; one that was changed behind the KMS is entered the day after', async ({
  page,
  world
}) => {
  const kms = kmsPage(page)
  const complete = completePage(page)
  const { luna } = world
  const [changed, changedAgain] = [newPassword(), newPassword()]
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })

  await test.step('the initial password: found expired by the first operation, changed by a click', async () => {
    await lunaScenarios.expired?.set(luna.confPath)
    await enter(entriesOf.kms(page, world, guidesChoices))
    await testAnswers(page)
    await expect(checkRow(page, 'kms.role')).toContainText('CKR_PIN_EXPIRED')
    await kms.newOfficerPassword.fill(changed)
    await kms.newOfficerPasswordAgain.fill(changed)
    await keepScreen(page, '70-expired')
    await look(page, 'expired')
    await testAnswers(page, () => kms.changeItNow.click())
    await expect(checkRow(page, 'kms.change-password')).toHaveAttribute('data-verdict', 'pass')
    await expect(kms.password).toHaveValue(changed)
    await keepScreen(page, '70-changed')
    expect(await readLunaState(luna.confPath)).toMatchObject({ initialPin: false, rejections: 0 })
  })
  await goOn(page, 'kms')
  await completeSteps(page, world, guidesChoices, { from: 'memcached' })
  await goOn(page, 'complete')
  await expect(complete.locked).toBeVisible()

  await test.step('changed in the HSM: one rejected login, and the KMS is sealed', async () => {
    await changeInTheHsm(world, changed, changedAgain)
    await setLunaState(luna.confPath, { present: false })
    await setLunaState(luna.confPath, { present: true })
    await expect(async () => {
      await page.reload()
      await expect(complete.services).toContainText('latched: sealed: PIN rejected', { timeout: 100 })
    }).toPass()
    expect(await readLunaState(luna.confPath)).toMatchObject({ failures: 1, rejections: 1 })
    await keepScreen(page, '71-sealed')
    await look(page, 'sealed')
  })

  await test.step('the new password is taken with a fresh code, proved by one login, and the KMS runs', async () => {
    const before = await loginsWith(luna.confPath, changedAgain)
    await complete.enterNewPassword.click()
    await look(page, 'code for the new password')
    await complete.oneTimeCode.fill(freshCode(world))
    await page.getByRole('button', { name: 'Next' }).click()
    await expect(page.getByText('1 of at most 10 known here')).toBeVisible()
    await keepScreen(page, '72-new-password')
    await complete.newPassword.fill(changed)
    await complete.usePassword.click()
    await expect(frameOf(page).summary).toContainText('rejected before')
    await keepScreen(page, '72-old-password-again')
    await look(page, 'old password again')
    expect(await readLunaState(luna.confPath)).toMatchObject({ rejections: 1 })
    await complete.newPassword.fill(changedAgain)
    await complete.usePassword.click()
    await expect(complete.verdict).toContainText('the KMS runs with it')
    await keepScreen(page, '72-taken')
    // The proof, and the KMS that starts.
    expect((await loginsWith(luna.confPath, changedAgain)) - before).toBe(2)
    expect(await readLunaState(luna.confPath)).toMatchObject({ rejections: 1, failures: 0 })
    await page.goto(world.wizard.url)
    await expect(complete.verdict).toHaveText('All services run and are ready.')
  })
  for (const secret of [changed, changedAgain]) expect(world.wizard.printed()).not.toContain(secret)
})

async function look(page: Page, state: string): Promise<void> {
  await expectAccessible(page, state)
  await expectReflow(page, state)
}

/** As lunacm does: role changepw, by a program that is not ours. */
async function changeInTheHsm({ luna }: World, old: string, pin: string): Promise<void> {
  const officer = startPartitionUser(luna)
  for (const action of [{ do: 'start' }, { do: 'setPin', old, pin }] as const) {
    expect(await officer.ask(action)).not.toHaveProperty('ckr')
  }
  await officer.kill()
}

/** `keyscaler code` on the host. */
function freshCode({ stateDir }: World): string {
  const { stdout } = spawnSync(process.execPath, [fromRoot('server/cli.mjs'), 'code', '--state', stateDir])
  return /(\S+)\s*$/.exec(stdout.toString())?.[1] ?? ''
}
