import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import type { ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { type LunacmPartition, readLunacm } from '../../../lib/luna-client/read-lunacm.ts'
import { type Diagnosis, diagnoseKeyStore } from '../../checks/key-store/diagnose.ts'
import { isSameKeyStore, keyStoreFromRecord, readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { waitingFor } from '../../checks/key-store/seen-key-store.ts'
import { ending, say } from '../console.ts'
import { readPassword, readPiped } from '../password-input.ts'
import { teller } from './check-text.ts'
import { writeReport } from './report.ts'
import {
  clientsMeant,
  configOf,
  type PartitionFlags,
  partitionMeant,
  withOutput,
  withPartition
} from './which-partition.ts'

interface CheckFlags extends PartitionFlags {
  readonly output: string
  readonly login: boolean
  readonly passwordFile?: string
  readonly confirmLabel?: string
  readonly sendAgain: boolean
  readonly report?: string
}

const mostPasted = 256 * 1024

export function registerCheck(hsm: Command, defaultState: string): void {
  withOutput(
    withPartition(
      hsm
        .command('check')
        .description('Tells whether KeyScaler can use a partition, and if not, what cures it. One login at most.')
        .argument(
          '[-]',
          'read what lunacm or vtl printed from stdin, and check that partition (no login without --password-file)'
        )
        .option('--no-login', 'everything up to the login')
        .option(
          '--password-file <file>',
          "file with the Crypto Officer's password (without it: asked for, or from stdin)"
        )
        .option('--confirm-label <label>', "the partition's label, typed to use the last try before it locks")
        .option('--send-again', 'send a password that was rejected before all the same', false)
        .option('--report <file>', 'write what was seen, without names and serial numbers'),
      defaultState
    )
  ).action((dash: string | undefined, flags: CheckFlags, command: Command) => {
    if (dash !== undefined && dash !== '-') command.error(`error: only - may stand here, not ${dash}`)
    return ending(() => check(flags, dash === '-'))
  })
}

async function check(flags: CheckFlags, pasted: boolean): Promise<void> {
  const text = flags.output === 'text'
  const meant = pasted ? { ...flags, ...(await readPasted(flags)) } : flags
  const stateDir = resolve(flags.state)
  const config = await keyStoreMeant(meant)
  const wantsLogin = flags.login && !(pasted && flags.passwordFile === undefined)
  if (wantsLogin) await refuseOtherUser(stateDir)
  const whose = config.profile === 'nss' ? 'Key store password' : `Crypto Officer password of ${config.partition}`
  const pin = wantsLogin ? await readPassword({ prompt: whose, file: flags.passwordFile }) : null
  const record = await readKeyStoreRecord(stateDir)
  const told = text ? teller() : { finding: () => {}, end: () => {} }
  const diagnosis = await diagnoseKeyStore(
    {
      config,
      pin,
      stateDir,
      confirmed: { again: flags.sendAgain, label: flags.confirmLabel },
      // Another partition than the install's may be looked at, too; then there is nothing to compare with.
      record: record !== null && isSameKeyStore(config, record) ? record : null
    },
    { finding: told.finding, step: patience() }
  )
  told.end(diagnosis)
  const failed = diagnosis.findings.some(({ verdict }) => verdict === 'fail')
  if (!text) process.stdout.write(`${JSON.stringify(answerOf(diagnosis, failed), null, 2)}\n`)
  if (flags.report !== undefined) {
    const confPath = config.profile === 'nss' ? null : (config.confPath ?? null)
    await writeReport(resolve(flags.report), diagnosis, { stateDir, confPath })
    say(`The report is in ${resolve(flags.report)}.`)
  }
  process.exit(failed ? 4 : 0)
}

/** A login is counted in the state folder: a record that root wrote there would be closed to the wizard that owns it. */
async function refuseOtherUser(stateDir: string): Promise<void> {
  const owner = await stat(stateDir).catch(() => null)
  if (owner === null || owner.uid === process.getuid?.()) return
  throw new AppError('invalid-input', `${stateDir} belongs to another user, who runs KeyScaler.`, {
    cure: `Run this as that user: sudo -u '#${owner.uid}' keyscaler hsm check … (or give --no-login).`
  })
}

/** Typed in full: taken as it is, so that the ladder says what does not agree. Else what the install has, or the list shows. */
async function keyStoreMeant(flags: PartitionFlags): Promise<KeyStoreConfig> {
  const { slot, partition, serial, library } = flags
  const typed = slot !== undefined || partition !== undefined || serial !== undefined
  const record = typed || library !== undefined ? null : await readKeyStoreRecord(resolve(flags.state))
  if (record !== null) return keyStoreFromRecord(record)
  const [client] = await clientsMeant(flags)
  if (client === undefined) throw new AppError('internal', 'no client')
  const asTyped = { ...configOf(client), slot: slot ?? 0, partition: partition ?? '', serial }
  if (slot !== undefined && partition !== undefined) return asTyped
  try {
    return (await partitionMeant(flags)).config
  } catch (thrown) {
    // A library that cannot list: the ladder says why, rung by rung.
    if (thrown instanceof AppError && thrown.code === 'check-failed') return asTyped
    throw thrown
  }
}

/** What was pasted chooses the partition; of several, the current one, or the one that was typed. */
async function readPasted(flags: PartitionFlags): Promise<Pick<PartitionFlags, 'slot' | 'partition' | 'serial'>> {
  const facts = readLunacm(await readPiped('What was pasted', mostPasted))
  if (facts === null) {
    throw new AppError('invalid-input', 'This is neither a slot list, nor `partition showinfo`, nor `vtl verify`.', {
      cure: 'Paste the whole output, from the first line to the last.'
    })
  }
  const isTyped = (one: LunacmPartition) =>
    (flags.slot ?? one.slot) === one.slot &&
    (flags.partition ?? one.label) === one.label &&
    (flags.serial ?? one.serial) === one.serial
  const matching = facts.partitions.filter(isTyped)
  const chosen =
    matching.length === 1 ? matching[0] : matching.find(({ slot }) => slot !== null && slot === facts.currentSlot)
  for (const { slot, label, serial } of facts.partitions)
    say(`Pasted: slot ${slot ?? '?'} "${label}", serial ${serial}`)
  if (chosen === undefined) {
    const listed = matching.length === 0 ? 'None of them is meant' : 'Several could be meant'
    throw new AppError('invalid-input', `${listed}.`, { cure: 'Give --slot, --partition or --serial.' })
  }
  const { slot, label, serial } = chosen
  return { ...(slot === null ? {} : { slot }), partition: label, serial }
}

function answerOf({ findings, evidence }: Diagnosis, failed: boolean): object {
  return { verdict: failed ? 'fail' : 'pass', findings, evidence }
}

/** Names a step that takes longer than a second, once. */
function patience(): (step: ProbeStep) => void {
  let timer: NodeJS.Timeout | undefined
  return (step) => {
    clearTimeout(timer)
    timer = setTimeout(() => say(`waiting for ${waitingFor(step)} …`), 1000)
    timer.unref()
  }
}
