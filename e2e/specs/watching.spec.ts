/** A deployment that fails, is watched, cancelled and gone on with: from the phase where it stopped, from another window too. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Page } from 'playwright/test'
import { freePort } from '../../sandbox/ports.ts'
import { frameOf } from '../frame.ts'
import { jobPage } from '../pages/job.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { holdService } from '../steps/hold.ts'
import { pressByKeys, tabTo } from '../steps/keyboard.ts'
import { expectAccessible, expectReflow, keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'

test('a deployment is watched, fails, is cancelled, and goes on from where it stopped', async ({ page, world }) => {
  const frame = frameOf(page)
  const job = jobPage(page)
  const url = (path: string) => `${world.wizard.url}${path}`
  const kmsAt = async (port: number) =>
    enter(entriesOf.kms(page, world, { ...guidesChoices, address: `https://localhost:${port}` }))
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })

  await test.step('another server takes the port while keys are made: the phase, its log, what stands', async () => {
    const port = await freePort()
    await kmsAt(port)
    await frame.next.click()
    await job.phases.first().waitFor()
    const other = createServer((caller) => caller.destroy()).listen(port, '127.0.0.1')
    await once(other, 'listening')
    await expect(frame.summary).toBeVisible({ timeout: 60_000 })
    await expect(job.heading).toHaveText('Where it stopped')
    await expect(job.phases.last()).toContainText('Failed')
    await expect(job.log.last()).toContainText('EADDRINUSE')
    await expect(job.part.getByRole('listitem').filter({ hasText: 'Key master' })).toBeVisible()
    await look(page, '70-failed')
    other.close()
    await once(other, 'close')
  })

  await test.step('Retry goes on from there, and reads no password again', async () => {
    await expect(kmsPage(page).password).toHaveValue('')
    await goOn(page, 'kms', () => job.retry.click())
    expect(await world.query(`SELECT purpose FROM ${world.database}.kms_keys WHERE purpose = 'master'`)).toHaveLength(1)
  })

  await page.goto(url('/setup/steps/kms'))
  await kmsAt(await freePort())
  const holding = holdService(world, 'kms')
  await frame.next.click()
  const release = await holding

  await test.step('it says what it waits for, how long, and keeps the form', async () => {
    await expect(job.waiting).toContainText(/^Waiting for Key Management Service.* since \d/)
    await expect(job.phases.last()).toContainText('Under way')
    await expect(frame.next).toHaveAttribute('aria-disabled', 'true')
    await look(page, '71-under-way')
  })

  await test.step('loaded anew in the middle, the step says what is under way, and where to watch it', async () => {
    await page.reload()
    await expect(job.underWay).toContainText(/^Next of KMS Deployment is under way since .*, asked for by the browser/)
    await look(page, '72-loaded-anew')
    await job.watch.click()
    await expect(job.heading).toHaveText('Under way')
    await look(page, '73-job')
  })

  await test.step('another window is refused, told by whom, and keeps what was typed', async () => {
    const second = await page.context().newPage()
    await second.goto(url('/setup/steps/database'))
    await enter(entriesOf.database(second, world, guidesChoices))
    await frameOf(second).next.click()
    await expect(frameOf(second).summary).toContainText('Next of KMS Deployment is under way since')
    await expect(second.getByLabel('Database Host')).toHaveValue(world.servers.mariadb.host)
    await keepScreen(second, '74-second-window')
    await frameOf(second).summary.getByRole('link').click()
    const other = jobPage(second)
    await expect(other.phases.last()).toContainText('waiting until it is ready')

    // From there it is cancelled, by the keyboard.
    await tabTo(second, other.cancel)
    await pressByKeys(second, other.cancel)
    await expect(other.heading).toHaveText('Stopping at the next safe point')
    await keepScreen(second, '74-stopping')
    release()
    await expect(other.heading).toHaveText('Cancelled')
    await expect(other.stands).toBeVisible()
    await second.close()
  })

  await test.step('the first window is told, and Next goes on with the answers that are kept', async () => {
    await expect(job.heading).toHaveText('Cancelled')
    await expect(page.getByRole('status').filter({ hasText: 'It was cancelled.' })).toBeVisible()
    await look(page, '75-cancelled')
    await goOn(page, 'kms', () => job.retry.click())
  })
})

async function look(page: Page, name: string): Promise<void> {
  await expectAccessible(page, name)
  await expectReflow(page, name)
  await keepScreen(page, name)
}
