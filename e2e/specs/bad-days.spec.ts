/**
 * The bad days of step 3, as an administrator meets them: one wizard, and a partition that misbehaves by a scenario of the
 * stand-in. What is said, what cures it, what it costs (logins); every page is kept as a picture.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Page } from 'playwright/test'
import { writeHsmProposal } from '../../lib/luna-client/proposal.ts'
import { lunaScenarios } from '../../sandbox/luna/scenarios.ts'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { freePort } from '../../sandbox/ports.ts'
import { checkRow, errorOf, frameOf } from '../frame.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { expectAccessible, expectReflow, keepScreen } from '../steps/look.ts'
import { completeSteps, openSetup, testAnswers } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'
import type { World } from '../world/world.ts'

interface BadDay {
  readonly scenario: string
  /** What the list of partitions says of it before anything is tested. */
  readonly listed?: string
  /** The rung that stops, and what it says and tells to do. */
  readonly rung: string
  readonly say: string | RegExp
  readonly cure: string | RegExp
  /** The one beside which it stands, too. */
  readonly field?: string
  /** C_Login calls that the partition has seen by it. */
  readonly logins: number
}

const beforeTheLogin: readonly BadDay[] = [
  {
    scenario: 'locked',
    listed: 'Crypto Officer locked',
    rung: 'kms.pin-state',
    say: 'The Crypto Officer is locked',
    cure: /role resetpw.* policy 15 was on before/,
    field: 'password',
    logins: 0
  },
  {
    scenario: 'no-crypto-officer',
    listed: 'no Crypto Officer yet',
    rung: 'kms.pin-state',
    say: 'The Crypto Officer is not initialized',
    cure: 'role init -name',
    field: 'password',
    logins: 0
  },
  {
    scenario: 'not-initialised',
    listed: 'Slot 3: no label',
    rung: 'kms.token-initialised',
    say: 'is not initialised',
    cure: 'init -label HSMoDnFIPS',
    field: 'slot',
    logins: 0
  },
  {
    scenario: 'wrong-label',
    listed: 'Slot 3: production',
    rung: 'kms.partition-label',
    say: 'Slot 3 holds "production", not "HSMoDnFIPS"',
    cure: 'Enter the name of this partition',
    field: 'partition',
    logins: 0
  },
  {
    scenario: 'moved-slot',
    listed: 'Slot 7: HSMoDnFIPS',
    rung: 'kms.slot-present',
    say: 'Slot 3 was not found; HSMoDnFIPS is in slot 7',
    cure: 'slot 7',
    field: 'slot',
    logins: 0
  },
  {
    scenario: 'lost',
    rung: 'kms.token-present',
    say: 'Slot 3',
    cure: 'vtl verify',
    logins: 0
  }
]

const withALogin: readonly BadDay[] = [
  {
    scenario: 'crypto-user',
    rung: 'kms.role',
    say: 'it looks like the password of the Crypto User',
    cure: 'Crypto Officer',
    field: 'password',
    logins: 1
  },
  { scenario: 'full', rung: 'kms.round-trips', say: 'full', cure: /./, logins: 1 },
  { scenario: 'no-mechanism', rung: 'kms.mechanisms', say: 'CKM_AES_GCM', cure: 'firmware', logins: 1 }
]

/** Last: a login that was never answered is remembered, and holds this password back. */
const crash: BadDay = {
  scenario: 'crash',
  rung: 'kms.login',
  say: 'crashed while logging in',
  cure: 'vtl verify',
  logins: 0
}

test('each bad day of a partition is told with its cure, and costs no login more than it must', async ({
  page,
  world
}) => {
  const kms = kmsPage(page)
  const frame = frameOf(page)
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })
  await test.step('a client that keyscaler hsm import has set up is proposed, and another may be chosen', async () => {
    const { library, confPath } = await importedClient(world)
    await page.goto(`${world.wizard.url}/setup/steps/kms`)
    await expect(kms.slot).toHaveValue('3')
    await expect(kms.partition).toHaveValue(world.luna.label)
    await expect(kms.library).toHaveValue(library)
    await expect(kms.clients.getByRole('radio')).toHaveCount(2)
    await keepScreen(page, '59-imported-client')
    await look(page, 'two clients')
    await kms.clients.getByRole('radio', { name: 'HSM client' }).check()
    await kms.useThisClient.click()
    await expect(kms.library).toHaveValue(world.luna.module)
    await expect(page.getByLabel('Chrystoki.conf folder')).toHaveValue(confPath)
    rmSync(join(world.stateDir, 'hsm-client.json'))
  })
  for (const day of [...beforeTheLogin, ...withALogin]) await test.step(day.scenario, () => meet(page, world, day))

  await test.step('a library that is not there', async () => {
    await begin(page, world, 'well')
    await kms.client.click()
    await kms.library.fill('/usr/safenet/lunaclient/lib/libCryptoki2_64.so')
    await testAnswers(page)
    await expect(errorOf(page, 'library')).toContainText('there is no such file')
    await keepScreen(page, '60-missing-library')
  })

  await test.step('the last try: nothing is sent before the name of the partition was typed', async () => {
    const before = await begin(page, world, 'final-try')
    await expect(kms.found).toContainText('USER_PIN_FINAL_TRY')
    await testAnswers(page)
    await expect(errorOf(page, 'confirmLabel')).toContainText('so none was sent')
    await expect(kms.confirmLabel).toBeVisible()
    await keepScreen(page, '61-final-try')
    await look(page, 'the last try')
    await kms.password.fill(world.luna.pin)
    await kms.confirmLabel.fill('hsmodnfips')
    await testAnswers(page)
    await expect(errorOf(page, 'confirmLabel')).toBeVisible()
    await expect(kms.confirmLabel).toHaveValue('')
    expect((await readLunaState(world.luna.confPath)).logins).toBe(before)
    await kms.password.fill(world.luna.pin)
    await kms.confirmLabel.fill(world.luna.label)
    await testAnswers(page)
    await expect(checkRow(page, 'kms.login')).toHaveAttribute('data-verdict', 'pass')
    expect(await readLunaState(world.luna.confPath)).toMatchObject({ logins: before + 1, failures: 0 })
    await keepScreen(page, '61-final-try-sent')
  })

  await test.step('a wrong name is mended by one click, by the serial too', async () => {
    await begin(page, world, 'wrong-label')
    await testAnswers(page)
    await page.getByRole('button', { name: 'Use production' }).click()
    await expect(kms.partition).toHaveValue('production')
    await kms.password.fill(world.luna.pin)
    await testAnswers(page)
    await expect(frame.summary).toBeHidden()
    await keepScreen(page, '62-wrong-label-mended')
    await kms.beforeYouBegin.click()
    await expect(kms.tested.getByRole('row', { name: 'Luna client' })).toContainText('Chrystoki 7.0')
    for (const seen of ['The HSM is initialised', 'have exchanged certificates', 'The client is registered']) {
      await expect(kms.prerequisites.getByRole('listitem').filter({ hasText: seen })).toContainText(/^seen/)
    }
    await kms.evidence.click()
    await expect(kms.mechanisms.getByRole('row', { name: 'CKM_AES_GCM' })).toContainText('encrypt, decrypt')
    await keepScreen(page, '62-evidence')
    await look(page, 'all passed, all unfolded')
  })

  await test.step('what lunacm prints is taken for slot, name and serial', async () => {
    await begin(page, world, 'duplicate-label')
    await expect(kms.found.getByRole('radio')).toHaveCount(2)
    await keepScreen(page, '63-duplicate-label')
    await page.getByRole('radio', { name: 'Slot 4: HSMoDnFIPS' }).check()
    await expect(kms.serial).toHaveValue(/^\d{8,}$/)
    await kms.slot.fill('3')
    await kms.slot.blur()
    await expect(kms.serial).toHaveValue('')
    await kms.paste.click()
    await kms.pasted.fill(
      `Slots/Partitions were found:\n 3 \t ${world.luna.serial} \t HSMoDnFIPS\n 4 \t 12345678 \t other`
    )
    await kms.readIt.click()
    await expect(page.getByText('2 partitions were read. Choose one.')).toBeVisible()
    await keepScreen(page, '63-pasted')
    await look(page, 'pasted')
    await page.getByRole('radio', { name: 'Slot 3: HSMoDnFIPS' }).last().check()
    await expect(kms.serial).toHaveValue(world.luna.serial)
    await kms.paste.click()
    await kms.paste.click()
    await kms.pasted.fill('nothing of the kind')
    await kms.readIt.click()
    await expect(page.getByText('This is not what slot list')).toBeVisible()
  })

  await test.step('crash', () => meet(page, world, crash))

  await test.step('a library that hangs is named while it is waited for, and given up', async () => {
    await begin(page, world, 'hang')
    await frame.test.click()
    const waiting = page.locator('#checks li[data-verdict=wait]')
    await expect(waiting).toContainText('C_Login')
    await keepScreen(page, '60-hang-waiting')
    await page.locator('#checks li[data-id="kms.login"]').waitFor({ timeout: 30_000 })
    await expect(checkRow(page, 'kms.login')).toContainText(/did not answer within \d+ s while logging in/)
    await keepScreen(page, '60-hang')
  })
})

/** As if it had been unpacked from a zip: the same partition by a library in another place. */
async function importedClient({ dir, stateDir, luna }: World) {
  const library = join(dir, 'dpod/libs/64/libCryptoki2.so')
  mkdirSync(dirname(library), { recursive: true })
  copyFileSync(luna.module, library)
  const { slot, label, serial, confPath } = luna
  const proposal = { library, confPath, slot, partition: label, serial, at: new Date().toISOString() }
  await writeHsmProposal(stateDir, proposal)
  return proposal
}

async function look(page: Page, state: string): Promise<void> {
  await expectAccessible(page, state)
  await expectReflow(page, state)
}

/** Step 3 with the right answers, on a day like this. @returns C_Login calls so far */
async function begin(page: Page, { wizard, luna, ...world }: World, scenario: string): Promise<number> {
  await lunaScenarios[scenario]?.set(luna.confPath)
  await page.goto(`${wizard.url}/setup/steps/kms`)
  await kmsPage(page).rescan.click()
  const choices = { ...guidesChoices, address: `https://localhost:${await freePort()}` }
  await enter(entriesOf.kms(page, { ...world, wizard, luna }, choices))
  return (await readLunaState(luna.confPath)).logins
}

async function meet(page: Page, world: World, { scenario, listed, rung, say, cure, field, logins }: BadDay) {
  const before = await begin(page, world, scenario)
  if (listed !== undefined) await expect(kmsPage(page).found).toContainText(listed)
  await testAnswers(page)
  const row = checkRow(page, rung)
  await expect(row).toHaveAttribute('data-verdict', 'fail')
  await expect(row).toContainText(say)
  await expect(row).toContainText(rung)
  await expect(row.locator('.cure')).toContainText(cure)
  if (field !== undefined) await expect(errorOf(page, field)).toBeVisible()
  expect((await readLunaState(world.luna.confPath)).logins - before).toBe(logins)
  await keepScreen(page, `60-${scenario}`)
}
