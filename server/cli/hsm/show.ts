import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { inspectClient } from '../../../lib/luna-client/inspect-client.ts'
import { testedAndYours } from '../../../lib/luna-client/tested-matrix.ts'
import { observeHost } from '../../checks/host.ts'
import { clientTitle, remarksOn } from '../../checks/hsm-client.ts'
import { fipsModeOf } from '../../checks/key-store/evidence.ts'
import { readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { ending, printable } from '../console.ts'
import { showInfoText } from './lunacm-text.ts'
import { type PartitionFlags, partitionMeant, withOutput, withPartition } from './which-partition.ts'

export function registerShow(hsm: Command, defaultState: string): void {
  withOutput(
    withPartition(
      hsm
        .command('show')
        .description(
          'Prints one partition as `partition showinfo` in lunacm, its client, and what was tested. No login.'
        ),
      defaultState
    )
  ).action((flags: PartitionFlags & { readonly output: string }) => ending(() => show(flags)))
}

async function show(flags: PartitionFlags & { readonly output: string }): Promise<void> {
  const stateDir = resolve(flags.state)
  const { config, seen, token } = await partitionMeant(flags)
  const { module, confPath = null } = config
  const owner = await stat(stateDir).catch(() => null)
  const [inspection, host] = await Promise.all([
    inspectClient({ kind: 'configured', module, confPath }, owner?.uid),
    observeHost(stateDir)
  ])
  const remarks = remarksOn(inspection)
  const client = seen.library === null ? null : `${seen.library.description} ${seen.library.version}`
  const { model, firmware } = token
  const table = testedAndYours({ system: host.system, client, model, firmware })
  const fips = await fipsKnown(stateDir, token.serial)
  if (flags.output === 'json') {
    const { configuration, certificates, vtl, hsmUser } = inspection
    const answer = {
      partition: { ...token, fips },
      client: { library: module, confPath, configuration, certificates, vtl, hsmUser }
    }
    process.stdout.write(`${JSON.stringify({ ...answer, remarks, tested: table }, null, 2)}\n`)
    return
  }
  const lines = remarks.map(({ verdict, say: words, cure }) =>
    [`${verdict.padEnd(5)} ${words}`, ...(cure === undefined ? [] : [`      Next: ${cure}`])].join('\n')
  )
  const width = Math.max(...table.map(({ what }) => what.length))
  const rows = table.map(({ what, tested, yours }) => `${what.padEnd(width)}  tested: ${tested}; yours: ${yours}`)
  process.stdout.write(
    printable(
      `${clientTitle(inspection.client)}\n${showInfoText(token, fips)}\n${lines.join('\n')}\n\n${rows.join('\n')}\n`
    )
  )
}

async function fipsKnown(stateDir: string, serial: string): Promise<boolean | null> {
  return fipsModeOf((await readKeyStoreRecord(stateDir))?.evidence ?? null, serial)
}
