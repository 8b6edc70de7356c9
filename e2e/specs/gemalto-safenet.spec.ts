/**
 * The whole story: an administrator installs KeyScaler with the guide in hand, then registers a device, which enrols.
 * Every page is looked at in every state that it reaches.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright/test'
import { type StepId, stepIds } from '../../server/steps/step.ts'
import { controlPanelPage } from '../control-panel.ts'
import { frameOf } from '../frame.ts'
import { completePage } from '../pages/complete.ts'
import { logIn, registerDevice } from '../steps/control-panel.ts'
import { enrolDevice, verifyDevice } from '../steps/device.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { expectAccessible, expectReflow, keepScreen } from '../steps/look.ts'
import { goOn, openSetup, testAnswers } from '../steps/setup.ts'
import { remainsOfSetup } from '../steps/setup-gone.ts'
import { expect, test } from '../world/test.ts'

test('an administrator installs with Gemalto SafeNet, and a device gets its certificate', async ({ page, world }) => {
  const frame = frameOf(page)
  const watch = stopwatch()

  await page.goto(world.wizard.url)
  await expect(frame.heading).toHaveText('Setup code')
  await look(page, '00-setup-code')
  await watch.timed(() => openSetup(page, world))

  for (const id of stepIds.slice(0, -1)) {
    // The participant's secret, on the page after the account was made and never again.
    await expect(frame.shownOnce).toBeVisible({ visible: id === 'license' })
    await look(page, nameOf(id, 'clean'))
    await expectReflow(page, id)
    await leaveEmpty(page, id)
    await testAnswers(page)
    await expect(frame.summary).toBeFocused()
    await look(page, nameOf(id, 'error'))

    const entries = entriesOf[id](page, world, guidesChoices)
    await enter(entries)
    await testAnswers(page)
    await expect(frame.checks).toContainText('Passed')
    await look(page, nameOf(id, 'checked'))
    // From here as one who has all at hand: that is what is timed.
    await page.goto(`${world.wizard.url}/setup/steps/${id}`)
    await expect(frame.shownOnce).toBeHidden()
    await watch.timed(async () => {
      await enter(entries)
      await goOn(page, id)
    })
  }
  for (const id of stepIds.slice(0, -1)) {
    await page.goto(`${world.wizard.url}/setup/steps/${id}`)
    await expect(frame.progress.getByText('completed')).toHaveCount(9)
    await expectAccessible(page, nameOf(id, 'done'))
  }

  await page.goto(`${world.wizard.url}/setup/steps/complete`)
  const complete = completePage(page)
  await expect(complete.verdict).toHaveText('All services run and are ready.')
  await expect(complete.services.getByRole('row')).toHaveCount(5)
  await look(page, nameOf('complete', 'clean'))
  await expectReflow(page, 'complete')
  await watch.timed(() => goOn(page, 'complete'))
  await expect(complete.locked).toBeVisible()
  await look(page, '12-locked')
  await expectReflow(page, 'locked')
  console.log(`  browser install: ${watch.seconds()} s (eleven steps, live checks and deployment; looking not counted)`)
  expect(await remainsOfSetup(world.wizard.url)).toEqual([])

  const address = (await complete.controlPanel.getAttribute('href')) ?? ''
  expect(address).toBe('https://localhost:9446')
  await logIn(page, world, address)
  await look(page, '13-control-panel')
  const registration = await registerDevice(page, 'pump-1')
  await look(page, '14-registered')
  const ca = await page.request.get(`${address}/service-ca.pem`)
  writeFileSync(join(world.dir, 'service-ca.pem'), await ca.body())
  await enrolDevice(world.dir, registration)
  expect(await verifyDevice(world.dir, 'https://localhost:9444', 'pump-1')).toMatch(
    /CN ?= ?pump-1[\s\S]*CN ?= ?acme Device CA/
  )
  await controlPanelPage(page).devices.click()
  await expect(page.getByRole('rowheader', { name: 'pump-1' })).toBeVisible()
  await look(page, '15-devices')

  for (const secret of [...world.secrets, registration.secret]) expect(world.wizard.printed()).not.toContain(secret)
  const processes = world.processes()
  expect(processes.length).toBeGreaterThan(4)
  await world.wizard.stop()
  expect(world.processes()).toEqual([])
})

/** What an administrator forgets: the first thing that the step asks for. */
async function leaveEmpty(page: Page, id: StepId): Promise<void> {
  const forgotten: Partial<Record<StepId, string>> = {
    database: 'Database Host',
    kms: 'KMS Host Address',
    memcached: 'Memcached Servers',
    kafka: 'Kafka Brokers',
    dae: 'DAE Host Address',
    mqs: 'MQS Host Address',
    cp: 'CP Host Address'
  }
  const label = forgotten[id]
  if (label !== undefined) await page.getByLabel(label).fill('')
}

async function look(page: Page, name: string): Promise<void> {
  await expectAccessible(page, name)
  await keepScreen(page, name)
}

function nameOf(id: StepId, state: string): string {
  return `${String(stepIds.indexOf(id) + 1).padStart(2, '0')}-${id}-${state}`
}

function stopwatch() {
  let ms = 0
  return {
    timed: async (work: () => Promise<void>) => {
      const began = performance.now()
      await work()
      ms += performance.now() - began
    },
    seconds: () => (ms / 1000).toFixed(1)
  }
}
