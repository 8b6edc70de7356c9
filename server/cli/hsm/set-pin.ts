/** `keyscaler hsm set-pin`: the day after `role changepw`. Proves the new password by one login, swaps it, starts the KMS. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Finding } from '../../checks/check.ts'
import type { ServiceStatus } from '../../deploy/target.ts'
import { processTarget } from '../../deploy/targets/process.ts'
import { isBeingDestroyed } from '../../install/destroy-record.ts'
import { takeStateLock } from '../../install/state-lock.ts'
import { acceptPassword } from '../../key-store-password/accept-password.ts'
import { askWizardToStart } from '../../key-store-password/start-request.ts'
import { ending, printable, say } from '../console.ts'
import { readPassword } from '../password-input.ts'

interface SetPinFlags {
  readonly state: string
  readonly passwordFile?: string
  readonly confirmLabel?: string
  readonly sendAgain: boolean
  readonly output: string
}

/** What the catalogue gives the KMS to start, and some more. */
const startWithinMs = 120_000

export function registerSetPin(hsm: Command, defaultState: string): void {
  hsm
    .command('set-pin')
    .description(
      "Gives KeyScaler the key store's new password after it was changed there (role changepw), and starts the KMS."
    )
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option(
      '--password-file <file>',
      'file (0600) with the new password; absent: it is asked for, or the first line of stdin'
    )
    .option('--confirm-label <name>', 'name of the partition, to confirm the last try before it locks')
    .option('--send-again', 'send it although it was rejected before, or three logins have failed', false)
    .option('--output <form>', 'text or json', 'text')
    .action((flags: SetPinFlags) => ending(() => setPin(flags)))
}

async function setPin({ state, passwordFile, confirmLabel, sendAgain, output }: SetPinFlags): Promise<void> {
  const stateDir = resolve(state)
  if (!existsSync(join(stateDir, 'boot.json'))) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name it: --state <folder>.' })
  }
  if (isBeingDestroyed(stateDir)) throw new AppError('conflict', 'This install is being destroyed.')
  const pin = await readPassword({ file: passwordFile, prompt: 'New password of the key store' })
  const outcome = await acceptPassword(
    {
      stateDir,
      pin,
      confirmed: { again: sendAgain, label: confirmLabel },
      startKms: (report) => startKms(stateDir, report)
    },
    (phase) => say(phase)
  )
  const { accepted, findings } = outcome
  const kms = outcome.accepted ? outcome.kms : null
  if (output === 'json') process.stdout.write(`${JSON.stringify({ accepted, findings, kms: statusOf(kms) })}\n`)
  if (!accepted) throw notAccepted(findings)
  if (kms instanceof AppError) throw kms
  say('The new password is kept, and the KMS runs with it.')
  process.exit(0)
}

/** By the wizard that runs, since it supervises; alone where none does: a later serve adopts the KMS. */
async function startKms(stateDir: string, report: (phase: string) => void): Promise<ServiceStatus> {
  const unlock = await takeStateLock(stateDir).catch((thrown: unknown) => {
    if (thrown instanceof AppError && thrown.code === 'conflict') return null
    throw thrown
  })
  if (unlock === null) {
    report('The wizard that runs starts the KMS')
    return await askWizardToStart(stateDir, startWithinMs)
  }
  try {
    return await processTarget({ stateDir, lifelineFd: null }).restart('kms', report)
  } finally {
    unlock()
  }
}

function notAccepted(findings: readonly Finding[]): AppError {
  const failed = findings.find(({ verdict }) => verdict === 'fail')
  const cure = failed?.cure
  const detail = printable(failed?.say ?? 'The password was not accepted.')
  return new AppError('check-failed', `${detail} Nothing was changed.`, cure === undefined ? {} : { cure })
}

function statusOf(kms: ServiceStatus | AppError | null) {
  return kms instanceof AppError ? { state: 'failed', detail: kms.message } : kms
}
