/** The whole install without an HSM: it must be said wherever the keys are spoken of. */
import { frameOf } from '../frame.ts'
import { completePage } from '../pages/complete.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { expectAccessible, keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup } from '../steps/setup.ts'
import { remainsOfSetup } from '../steps/setup-gone.ts'
import { expect, test } from '../world/test.ts'

const choices = { ...guidesChoices, keyStore: 'Software-only NSSKeyStore module' } as const

test('an administrator without an HSM installs with the software-only module, and is told so', async ({
  page,
  world
}) => {
  await openSetup(page, world)
  await completeSteps(page, world, choices, { upTo: 'database' })

  const kms = kmsPage(page)
  await expect(kms.softwareWarning).toBeHidden()
  await enter(entriesOf.kms(page, world, choices))
  await expect(kms.slot).toBeHidden()
  await expect(kms.softwareWarning).toBeVisible()
  await expectAccessible(page, 'kms with NSS')
  await keepScreen(page, '20-kms-nss')
  await goOn(page, 'kms')

  await completeSteps(page, world, choices, { from: 'memcached' })
  const complete = completePage(page)
  await expect(complete.verdict).toHaveText('All services run and are ready.')
  await expect(complete.notProtected).toBeVisible()
  await expectAccessible(page, 'complete with NSS')
  await keepScreen(page, '21-complete-nss')
  await goOn(page, 'complete')
  await expect(frameOf(page).heading).toHaveText('Setup Complete!')
  await expect(complete.notProtected).toBeVisible()
  expect(await remainsOfSetup(world.wizard.url)).toEqual([])
  for (const secret of world.secrets) expect(world.wizard.printed()).not.toContain(secret)
})
