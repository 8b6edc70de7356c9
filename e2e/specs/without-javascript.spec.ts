/** The whole install in a browser that runs no scripts: every button is a plain form post. */
import { checkRow, errorOf, frameOf } from '../frame.ts'
import { completePage } from '../pages/complete.ts'
import { jobPage } from '../pages/job.ts'
import { kmsPage } from '../pages/kms.ts'
import { guidesChoices } from '../steps/entries.ts'
import { holdService } from '../steps/hold.ts'
import { expectReflow, keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'

test.use({ javaScriptEnabled: false })

test('an administrator whose browser runs no scripts installs with Gemalto SafeNet', async ({ page, world }) => {
  const frame = frameOf(page)
  const kms = kmsPage(page)
  const job = jobPage(page)
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })

  // What vtl prints is read by a button, too.
  await kms.paste.click()
  await kms.pasted.fill('Slots/Partitions were found:\n 5 \t 1285296213942 \t spare')
  await kms.readIt.click()
  await expect(page.getByText('Filled in: slot 5, spare, serial 1285296213942.')).toBeVisible()
  await expect(kms.slot).toHaveValue('5')
  await expect(kms.partition).toHaveValue('spare')

  // The partition is picked from those found, by a button that scripts would make needless.
  await expect(kms.showPassword).toBeHidden()
  await kms.host.fill(guidesChoices.address)
  await kms.partitionFound.check()
  await kms.useThisPartition.click()
  await expect(kms.slot).toHaveValue('3')
  await expect(kms.partition).toHaveValue('HSMoDnFIPS')
  await expect(kms.host).toHaveValue(guidesChoices.address)

  // A slot that does not hold the name is answered with the right one to press.
  await kms.slot.fill('0')
  await kms.password.fill(world.luna.pin)
  await testAnswers(page)
  await expect(frame.summary).toBeVisible()
  await expect(errorOf(page, 'slot')).toContainText('Slot 0 was not found; HSMoDnFIPS is in slot 3')
  await keepScreen(page, '30-kms-no-scripts')
  await kms.useSlot3.click()
  await expect(kms.slot).toHaveValue('3')
  await expect(kms.password).toHaveValue('')

  await kms.password.fill(world.luna.pin)
  await testAnswers(page)
  await expect(checkRow(page, 'kms.login')).toContainText('Logged in once as Crypto Officer.')
  await kms.password.fill(world.luna.pin)
  const holding = holdService(world, 'kms')
  await goOn(page, 'kms', async () => {
    await frame.next.click()
    const release = await holding
    // A page that loads itself anew while it is worked at, and leads on when that is done.
    await expect(job.heading).toHaveText('Under way')
    await expect(job.phases.last()).toContainText('waiting until it is ready')
    await page.waitForEvent('load')
    await expect(job.lookAgain).toBeVisible()
    await expectReflow(page, 'a job without scripts')
    await keepScreen(page, '31-job-no-scripts')
    release()
  })

  await completeSteps(page, world, guidesChoices, { from: 'memcached' })
  await goOn(page, 'complete')
  await expect(completePage(page).locked).toBeVisible()
  await expect(completePage(page).verdict).toHaveText('All services run and are ready.')
})
