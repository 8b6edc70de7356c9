/** What cannot be right is said in the guide's words, beside the field and above; nothing typed is lost but secrets. */
import { errorOf, frameOf } from '../frame.ts'
import { databasePage } from '../pages/database.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { completeSteps, goOn, openSetup, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'

test('bad answers are refused in words, kept to be mended, and change nothing', async ({ page, world }) => {
  const frame = frameOf(page)
  const next = () => frame.next.click()

  await test.step('a wrong code opens nothing', async () => {
    await page.goto(world.wizard.url)
    await page.getByLabel('Setup code').fill('0000-0000')
    await page.getByRole('button', { name: 'Next' }).click()
    await expect(errorOf(page, 'code')).toContainText('The setup code is not valid.')
    await page.goto(`${world.wizard.url}/setup/steps/kms`)
    await expect(frame.heading).toHaveText('Setup code')
  })
  await openSetup(page, world)

  await test.step('terms must be accepted', async () => {
    await testAnswers(page, next)
    await expect(errorOf(page, 'acceptTerms')).toHaveText('Error: You must accept the terms to continue.')
    await completeSteps(page, world, guidesChoices, { upTo: 'welcome' })
  })

  await test.step('a later step is not open', async () => {
    await page.goto(`${world.wizard.url}/setup/steps/cp`)
    await expect(frame.heading).toHaveText('Database Configuration')
  })

  await test.step('a database that is not there, or does not know the password', async () => {
    const database = databasePage(page)
    await enter(entriesOf.database(page, world, guidesChoices))
    await database.port.fill('1')
    await testAnswers(page, next)
    await expect(frame.summary).toBeVisible()
    await expect(database.name).toHaveValue(world.database)
    await expect(database.port).toHaveValue('1')
    await expect(database.password).toHaveValue('')
    await enter(entriesOf.database(page, world, guidesChoices))
    await database.password.fill('not-the-password')
    await testAnswers(page, next)
    await expect(errorOf(page, 'dbPassword')).toBeVisible()
    expect(await world.query(`SHOW DATABASES LIKE '${world.database}'`)).toEqual([])
    await enter(entriesOf.database(page, world, guidesChoices))
    await goOn(page, 'database')
  })

  await test.step('the KMS address left empty, in the words of the guide', async () => {
    const kms = kmsPage(page)
    const words = 'You must provide a value for Kms Hostname.'
    await kms.slot.fill('3')
    await kms.partition.fill('HSMoDnFIPS')
    await kms.password.fill(world.luna.pin)
    await testAnswers(page, next)
    await expect(errorOf(page, 'kmsHost')).toHaveText(`Error: ${words}`)
    await expect(kms.host).toHaveAttribute('aria-invalid', 'true')
    await expect(frame.summary.getByRole('listitem')).toHaveText([words])
    await expect(page).toHaveTitle(/^Error: KMS Deployment/)
    await expect(kms.slot).toHaveValue('3')
    await expect(kms.partition).toHaveValue('HSMoDnFIPS')
    await expect(kms.password).toHaveValue('')
    expect(await page.content()).not.toContain(world.luna.pin)
    await frame.summary.getByRole('link', { name: words }).click()
    await expect(kms.host).toBeFocused()
  })

  await test.step('a library that is not there, a slot that is no number, an address that is none', async () => {
    const kms = kmsPage(page)
    await kms.slot.fill('three')
    await kms.host.fill('kms.serverfarm.com')
    await kms.password.fill(world.luna.pin)
    await testAnswers(page)
    await expect(errorOf(page, 'slot')).toBeVisible()
    await expect(errorOf(page, 'kmsHost')).toContainText('including the protocol')
    await page.getByText('HSM client', { exact: true }).click()
    await page.getByLabel('PKCS#11 library').fill('/nowhere/libCryptoki2_64.so')
    await kms.slot.fill('3')
    await kms.host.fill(guidesChoices.address)
    await kms.password.fill(world.luna.pin)
    await testAnswers(page)
    await expect(errorOf(page, 'library')).toContainText('/nowhere/libCryptoki2_64.so')
    await expect(page.getByLabel('PKCS#11 library')).toBeVisible()
  })
})
