/** A wrong slot and a wrong PIN, then the right ones: said plainly, counted, and never spent twice. */
import { readLunaState } from '../../sandbox/luna/state.ts'
import { checkRow, errorOf, frameOf } from '../frame.ts'
import { kmsPage } from '../pages/kms.ts'
import { guidesChoices } from '../steps/entries.ts'
import { expectAccessible, keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'

const wrongPin = 'the-password-of-last-year'

test('a wrong slot is answered with the right one, and a wrong PIN costs one login however often it is sent', async ({
  page,
  world
}) => {
  const frame = frameOf(page)
  const kms = kmsPage(page)
  const partition = () => readLunaState(world.luna.confPath)
  const next = () => frame.next.click()
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })

  await test.step('a slot that does not hold the name: no login, one click to the right one', async () => {
    await kms.slot.fill('0')
    await kms.partition.fill('HSMoDnFIPS')
    await kms.password.fill(wrongPin)
    await kms.host.fill(guidesChoices.address)
    await testAnswers(page)
    await expect(errorOf(page, 'slot')).toContainText('Slot 0 was not found; HSMoDnFIPS is in slot 3')
    expect((await partition()).logins).toBe(0)
    await expectAccessible(page, 'kms with an offer')
    await kms.useSlot3.click()
    await expect(kms.slot).toHaveValue('3')
  })

  await test.step('the wrong PIN: said beside the field and in the summary, counted, cleared', async () => {
    await kms.password.fill(wrongPin)
    await testAnswers(page, next)
    await expect(errorOf(page, 'password')).toContainText('The password is not correct.')
    await expect(frame.summary).toContainText('The password is not correct.')
    await expect(page.getByText('HSMoDnFIPS: 1 of at most 10 failed logins known', { exact: true })).toBeVisible()
    await expect(kms.password).toHaveValue('')
    await expect(kms.partition).toHaveValue('HSMoDnFIPS')
    expect(await partition()).toMatchObject({ logins: 1, rejections: 1 })
    await expectAccessible(page, 'kms with a wrong PIN')
    await keepScreen(page, '40-kms-wrong-pin')
  })

  await test.step('the same wrong PIN, by Test and by Next: the token is not asked', async () => {
    for (const press of [undefined, next]) {
      await kms.password.fill(wrongPin)
      await testAnswers(page, press)
      await expect(frame.summary).toBeVisible()
      await expect(checkRow(page, 'kms.login')).toHaveAttribute('data-verdict', 'fail')
    }
    expect(await partition()).toMatchObject({ logins: 1, rejections: 1 })
    await keepScreen(page, '41-kms-wrong-pin-again')
  })

  await kms.password.fill(world.luna.pin)
  await goOn(page, 'kms')
  await expect(frame.heading).toHaveText('Memcached Configuration')
  expect(await partition()).toMatchObject({ failures: 0, rejections: 1 })
  expect(world.wizard.printed()).not.toContain(wrongPin)
})
