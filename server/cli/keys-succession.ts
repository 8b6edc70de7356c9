/** `keyscaler keys succeed`: a new key for a tenant's device CA, told to the DAE and to devices. */
import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { Pool } from 'mysql2/promise'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { hasInstall } from '../install/boot-file.ts'
import { type Install, openInstall } from '../install/install.ts'
import { steps } from '../install/steps.ts'
import { certificatesOf } from '../steps/dae/certs-only.ts'
import { refuseIssuingKey, type Succession, succeedDeviceCa, takenUpWithinMs } from '../steps/dae/succession.ts'
import { askDeployed } from '../steps/service-proof.ts'
import { root } from '../web/product.ts'
import { ending, say } from './console.ts'

interface Flags {
  readonly state: string
  readonly days?: number
  readonly issuesFrom?: Date
  readonly output: 'text' | 'json'
}

export function registerSuccession(keys: Command, defaultState: string): void {
  keys
    .command('succeed <id>')
    .description(
      "Makes the next key of a tenant's device CA (tenant-ca) and its certificate, and lets the DAE issue by it."
    )
    .option('--days <days>', 'life of the new CA certificate (without it: as long as the old one)', daysFrom)
    .option('--issues-from <time>', 'from when on it issues, e.g. 2027-01-31T06:00Z (without it: at once)', timeFrom)
    .option('--state <folder>', 'state folder of the install', defaultState)
    .addOption(keys.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((id: string, flags: Flags) => ending(() => succeed(id, flags)))
}

async function succeed(keyId: string, { state, days, issuesFrom, output }: Flags): Promise<void> {
  const stateDir = resolve(state)
  const succession = await withDatabase(stateDir, async (database, install) =>
    succeedDeviceCa({ database, kms: await install.kms(), report: say }, { keyId, days, issuesFrom })
  )
  await takenUp(stateDir, succession)
  tell(succession, keyId, output)
}

/** @throws AppError conflict while the DAE needs it */
export function refuseWhileItIssues(stateDir: string, key: KmsKey): Promise<void> {
  return withDatabase(stateDir, (database) => refuseIssuingKey(database, key))
}

async function withDatabase<T>(stateDir: string, work: (database: Pool, install: Install) => Promise<T>): Promise<T> {
  if (!(await hasInstall(stateDir))) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name its state folder: --state.' })
  }
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    const database = install.database()
    if (database === null) throw new AppError('out-of-order', 'There is no database yet, and so no device CA.')
    return await work(database, install)
  } finally {
    await install.close()
  }
}

/** As a device would ask. @throws AppError deploy-failed when the DAE goes on without it */
async function takenUp(stateDir: string, { certificate }: Succession): Promise<void> {
  const giveUpAt = performance.now() + takenUpWithinMs
  for (;;) {
    const { body } = await askDeployed(stateDir, 'dae', { method: 'GET', path: '/.well-known/est/cacerts' })
    const found = certificatesOf(Buffer.from(body.toString('latin1'), 'base64'))
    if (found.some(({ raw }) => raw.equals(certificate.raw))) return
    if (performance.now() > giveUpAt) {
      throw new AppError('deploy-failed', 'The DAE does not hand out the new CA certificate yet.', {
        cure: 'Look at its log, then run this again: it is the same successor.'
      })
    }
    await pause(500)
  }
}

function tell({ tenant, keyId, certificate, issuesFrom }: Succession, old: string, output: Flags['output']): void {
  const from = issuesFrom === null ? null : issuesFrom.toISOString()
  if (output === 'json') {
    const fingerprint = new X509Certificate(certificate.raw).fingerprint256
    const { subject, validTo } = certificate
    process.stdout.write(
      `${JSON.stringify({ tenant, follows: old, keyId, subject, notAfter: new Date(validTo).toISOString(), fingerprint, issuesFrom: from })}\n`
    )
  }
  say(
    `The device CA of ${tenant} has the key ${keyId} now; it issues ${from === null ? 'from now on' : `from ${from} on`}.`
  )
  say('Devices find both keys at /cacerts, and exchange their certificates by /simplereenroll. Those of the old key')
  say('are good until they end: who checks them must trust both until then (the Control Panel shows both).')
}

function daysFrom(typed: string): number {
  const days = Number(typed)
  if (!Number.isInteger(days) || days < 1 || days > 36_525)
    throw new InvalidArgumentError('Give whole days, 1 to 36525.')
  return days
}

function timeFrom(typed: string): Date {
  const time = new Date(typed)
  if (Number.isNaN(time.getTime()) || !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/.test(typed)) {
    throw new InvalidArgumentError('Give a time with its zone, e.g. 2027-01-31T06:00Z.')
  }
  return time
}
