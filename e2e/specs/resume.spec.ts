/** The wizard is killed in the middle, and started again: setup goes on where it was, and nothing is made twice. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { frameOf } from '../frame.ts'
import { kmsPage } from '../pages/kms.ts'
import { enter, entriesOf, guidesChoices } from '../steps/entries.ts'
import { keepScreen } from '../steps/look.ts'
import { completeSteps, goOn, openSetup } from '../steps/setup.ts'
import { expect, test } from '../world/test.ts'
import type { World } from '../world/world.ts'

test('killed while the KMS is deployed and after it, setup resumes: one master key, one CA, nothing asked twice', async ({
  page,
  world
}) => {
  const frame = frameOf(page)
  await openSetup(page, world)
  await completeSteps(page, world, guidesChoices, { upTo: 'database' })

  await test.step('killed as soon as keys are being made', async () => {
    await enter(entriesOf.kms(page, world, guidesChoices))
    await frame.next.click()
    await frame.status.filter({ hasText: /^(Master key|Service CA|Certificates|Key Management|KMS)/ }).waitFor()
    await world.wizard.kill()
    await expect(frame.summary).toContainText('The connection was lost.')
  })

  await test.step('started again, and killed again once the KMS has been launched', async () => {
    await world.restart()
    await expect.poll(() => existsSync(join(world.stateDir, 'run/kms/pid.json')), { intervals: [10] }).toBe(true)
    await world.wizard.kill()
  })

  await test.step('started once more it finishes by itself', async () => {
    const { printed } = await world.restart()
    await expect.poll(printed).toContain('Finished the interrupted step kms.')
    expect(await world.query(`SELECT purpose, state FROM ${world.database}.kms_keys ORDER BY purpose`)).toEqual([
      { purpose: 'master', state: 'active' },
      { purpose: 'service-ca', state: 'active' }
    ])
    // The master key, and the two halves of the CA's.
    expect(await objectsIn(world)).toEqual(['Private Key Object', 'Public Key Object', 'Secret Key Object'])
    expect(kmsOf(world)).toHaveLength(1)
  })

  await test.step('the same browser is let in, at the same step, and sees no secret', async () => {
    // The page that lost the connection goes on by itself, too, and may do so in the middle of this.
    await expect(() => page.goto(world.wizard.url)).toPass()
    await expect(page).toHaveURL(/\/setup\/steps\/memcached$/)
    await page.goto(`${world.wizard.url}/setup/steps/kms`)
    await expect(kmsPage(page).partition).toHaveValue('HSMoDnFIPS')
    await expect(kmsPage(page).host).toHaveValue(guidesChoices.address)
    await expect(page.getByText('Saved. Leave empty to keep it.').first()).toBeVisible()
    await keepScreen(page, '50-kms-resumed')
    for (const id of ['welcome', 'database', 'kms', 'memcached']) {
      await page.goto(`${world.wizard.url}/setup/steps/${id}`)
      for (const secret of world.secrets) expect(await page.content()).not.toContain(secret)
    }
  })

  await test.step('killed after step 3: the KMS runs on, is adopted, and nothing is asked twice', async () => {
    const before = kmsOf(world)
    await world.wizard.kill()
    expect(kmsOf(world)).toEqual(before)
    await world.restart()
    await page.goto(world.wizard.url)
    await expect(page).toHaveURL(/\/setup\/steps\/memcached$/)
    for (const id of ['database', 'kms'] as const) {
      await page.goto(`${world.wizard.url}/setup/steps/${id}`)
      await goOn(page, id)
    }
    expect(kmsOf(world)).toEqual(before)
    await completeSteps(page, world, guidesChoices, { from: 'memcached', upTo: 'account' })
  })

  await world.wizard.stop()
  expect(world.processes()).toEqual([])
})

function kmsOf({ processes }: World): readonly string[] {
  return processes().filter((line) => line.includes('services/kms/main.ts'))
}

/** Kinds of the objects that the partition holds, as a program that is not ours sees them. */
async function objectsIn({ luna }: World): Promise<readonly string[]> {
  // For a partition that is gone with the story the environment is private enough; no real PIN goes there.
  const env = { ...process.env, ChrystokiConfigurationPath: luna.confPath, PARTITION_PIN: luna.pin }
  const args = ['--module', luna.module, '--login', '--pin', 'env:PARTITION_PIN', '--list-objects']
  const { stdout } = await promisify(execFile)('pkcs11-tool', args, { env })
  return [...stdout.matchAll(/^\w.* Object/gm)].map(([kind]) => kind).sort()
}
