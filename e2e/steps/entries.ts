/** What an administrator enters on each step, as data: the same for mouse, keyboard and a browser without scripts. */
import type { Locator, Page } from 'playwright/test'
import type { StepId } from '../../server/steps/step.ts'
import { accountPage } from '../pages/account.ts'
import { cpPage } from '../pages/cp.ts'
import { daePage } from '../pages/dae.ts'
import { databasePage } from '../pages/database.ts'
import { kafkaPage } from '../pages/kafka.ts'
import { kmsPage } from '../pages/kms.ts'
import { licensePage } from '../pages/license.ts'
import { memcachedPage } from '../pages/memcached.ts'
import { mqsPage } from '../pages/mqs.ts'
import { welcomePage } from '../pages/welcome.ts'
import type { World } from '../world/world.ts'

export type Entry =
  | { readonly control: 'text'; readonly field: Locator; readonly value: string }
  | { readonly control: 'box'; readonly field: Locator }
  | { readonly control: 'select'; readonly field: Locator; readonly option: string }

export interface Choices {
  readonly keyStore: 'Gemalto SafeNet' | 'Software-only NSSKeyStore module'
  /** Typed four times: KMS, DAE, MQS, CP. */
  readonly address: string
}

export const guidesChoices: Choices = { keyStore: 'Gemalto SafeNet', address: 'https://localhost' }

const text = (field: Locator, value: string): Entry => ({ control: 'text', field, value })

type EntriesOf = (page: Page, world: World, choices: Choices) => readonly Entry[]

export const entriesOf: Readonly<Record<StepId, EntriesOf>> = {
  welcome: (page) => [{ control: 'box', field: welcomePage(page).terms }],
  database: (page, { servers: { mariadb }, database }) => {
    const { host, port, name, user, password } = databasePage(page)
    return [
      text(host, mariadb.host),
      text(port, String(mariadb.port)),
      text(name, database),
      text(user, mariadb.user),
      text(password, mariadb.password)
    ]
  },
  kms: (page, { luna, nss }, { keyStore, address }) => {
    const { host, slot, partition, password, folder, newPassword, newPasswordAgain, ...fields } = kmsPage(page)
    const hsm = [text(slot, String(luna.slot)), text(partition, luna.label), text(password, luna.pin)]
    const software = [text(folder, nss.folder), text(newPassword, nss.password), text(newPasswordAgain, nss.password)]
    return [
      { control: 'select', field: fields.keyStore, option: keyStore },
      ...(keyStore === 'Gemalto SafeNet' ? hsm : software),
      text(host, address)
    ]
  },
  memcached: (page, { servers, database }) => [
    text(memcachedPage(page).servers, servers.memcached.server),
    text(memcachedPage(page).prefix, `${database}:`)
  ],
  account: (page, { administrator: { email, password } }) => {
    const fields = accountPage(page)
    return [
      text(fields.tenant, 'acme'),
      text(fields.fullName, 'Ada Admin'),
      text(fields.email, email),
      text(fields.password, password),
      text(fields.passwordAgain, password)
    ]
  },
  license: (page, { license }) => [text(licensePage(page).license, license)],
  kafka: (page, { servers, topicPrefix }) => [
    text(kafkaPage(page).brokers, servers.kafka.brokers.join('\n')),
    text(kafkaPage(page).topicPrefix, topicPrefix),
    text(kafkaPage(page).partitions, '1')
  ],
  dae: (page, _world, { address }) => [text(daePage(page).host, address)],
  mqs: (page, _world, { address }) => [text(mqsPage(page).host, address)],
  cp: (page, _world, { address }) => [text(cpPage(page).host, address)],
  complete: () => []
}

/** With the mouse. */
export async function enter(entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    if (entry.control === 'text') await entry.field.fill(entry.value)
    else if (entry.control === 'box') await entry.field.check()
    else await entry.field.selectOption({ label: entry.option })
  }
}
