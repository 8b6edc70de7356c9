import { resolve } from 'node:path'
import type { Command } from 'commander'
import { importDpodClient } from '../../../lib/luna-client/import-dpod-client.ts'
import { certificateRemark, type Remark } from '../../checks/hsm-client.ts'
import { ending, printable, say } from '../console.ts'
import { slotListText } from './lunacm-text.ts'
import { withOutput } from './which-partition.ts'

interface ImportFlags {
  readonly state: string
  readonly into?: string
  readonly output: string
}

export function registerImport(hsm: Command, defaultState: string): void {
  withOutput(
    hsm
      .command('import <zip|folder>')
      .description('Sets up a client of Data Protection on Demand from its zip, and proposes it to step 3. No login.')
      .option('--into <folder>', 'where it is unpacked (a zip: /opt/dpod; a folder: where it is)')
      .option('--state <folder>', 'state folder of the install', defaultState)
  ).action((source: string, flags: ImportFlags) => ending(() => runImport(source, flags)))
}

async function runImport(source: string, flags: ImportFlags): Promise<void> {
  const into = flags.into === undefined ? undefined : resolve(flags.into)
  const stateDir = resolve(flags.state)
  const imported = await importDpodClient({ source: resolve(source), into, stateDir }, say)
  const { changed, files, library, confPath, certificates, seen, proposal } = imported
  const remarks = [...certificates.map(certificateRemark), slotsRemark(imported)]
  if (flags.output === 'json') {
    const { slot, partition, serial } = proposal
    const answer = { changed, files, library, confPath, slot, partition, serial, certificates, partitions: seen.slots }
    process.stdout.write(`${JSON.stringify({ ...answer, remarks }, null, 2)}\n`)
  } else {
    for (const { verdict, say: words, cure } of remarks) {
      say(`${verdict.padEnd(5)} ${words}${cure === undefined ? '' : `\n      Next: ${cure}`}`)
    }
    process.stdout.write(printable(slotListText(seen.slots, seen.haGroups)))
    say(changed ? `The client is in ${confPath}; step 3 proposes it.` : 'Nothing was changed.')
    say(`For lunacm in this shell: export ChrystokiConfigurationPath=${confPath}`)
  }
  if (remarks.some(({ verdict }) => verdict === 'fail')) process.exitCode = 4
}

function slotsRemark({ seen: { slots, stopped } }: Awaited<ReturnType<typeof importDpodClient>>): Remark {
  if (stopped !== null) {
    const say = `The library could not list partitions (${stopped.why} in ${stopped.step}).`
    return { verdict: 'fail', say, cure: 'Check the way to the service, then run `keyscaler hsm list`.' }
  }
  const ready = slots.filter(({ flags }) => flags.tokenInitialized)
  if (ready.length > 0) return { verdict: 'pass', say: `${ready.length} initialised partition(s) are listed.` }
  const say = slots.length === 0 ? 'No partition is listed.' : 'The partition is not initialised yet.'
  return { verdict: 'warn', say, cure: 'Run `keyscaler hsm init-partition --label <name>`: it prints what to type.' }
}
