/** The whole install with Tab, Enter, Space and arrows: the mouse is never touched. */
import { stepIds } from '../../server/steps/step.ts'
import { frameOf } from '../frame.ts'
import { completePage } from '../pages/complete.ts'
import { kmsPage } from '../pages/kms.ts'
import { entriesOf, guidesChoices } from '../steps/entries.ts'
import { enterByKeys, pressByKeys, tabTo } from '../steps/keyboard.ts'
import { goOn, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'

test('an administrator without a mouse installs with Gemalto SafeNet', async ({ page, world }) => {
  const frame = frameOf(page)
  await page.goto(world.wizard.url)
  await tabTo(page, page.getByLabel('Setup code'))
  await page.keyboard.insertText(world.wizard.code)
  await page.keyboard.press('Enter')
  await expect(frame.heading).toHaveText('Welcome')

  await test.step('the first Tab offers to skip to the main part', async () => {
    await page.keyboard.press('Tab')
    await expect(page.getByRole('link', { name: 'Skip to main content' })).toBeFocused()
    await page.keyboard.press('Enter')
    await expect(page.getByRole('main')).toBeFocused()
  })

  for (const id of stepIds) {
    if (id === 'kms') await pickPartition()
    const entries = entriesOf[id](page, world, guidesChoices)
    await enterByKeys(page, id === 'kms' ? entries.slice(3) : entries)
    await goOn(page, id, () => pressByKeys(page, frame.next, id === 'memcached' ? 'Space' : 'Enter'))
  }
  await expect(completePage(page).locked).toBeVisible()

  async function pickPartition(): Promise<void> {
    const kms = kmsPage(page)
    // Forgotten answers first: the summary takes the focus, and its link leads to the field.
    await testAnswers(page, () => pressByKeys(page, frame.test))
    await expect(frame.summary).toBeFocused()
    await pressByKeys(page, frame.summary.getByRole('link', { name: 'You must provide a value for Kms Hostname.' }))
    await expect(kms.host).toBeFocused()

    // By arrows to the software module and back: what belongs to the other one comes and goes.
    await page.reload()
    await tabTo(page, kms.keyStore)
    await page.keyboard.press('ArrowDown')
    await expect(kms.folder).toBeVisible()
    await page.keyboard.press('ArrowUp')
    await expect(kms.folder).toBeHidden()
    await pressByKeys(page, kms.partitionFound, 'Space')
    await expect(kms.slot).toHaveValue('3')
    await expect(kms.partition).toHaveValue('HSMoDnFIPS')
  }
})
