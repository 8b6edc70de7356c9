import { resolve } from 'node:path'
import type { Command } from 'commander'
import { issueEvaluationLicense } from '../../lib/license/evaluation-issuer.ts'
import { ending } from './console.ts'

interface IssueFlags {
  readonly state: string
  readonly licensee: string
  readonly devices: string
  readonly days: string
}

export function registerLicense(program: Command, defaultState: string): void {
  program
    .command('license')
    .description('Evaluation licences.')
    .command('issue-evaluation')
    .description('Prints a licence for evaluation, signed by an issuer that only this install trusts.')
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--licensee <name>', 'who evaluates', 'Evaluation')
    .option('--devices <number>', 'device limit', '100')
    .option('--days <number>', 'valid for', '90')
    .action((flags: IssueFlags) =>
      ending(async () => {
        const { licensee, devices, days } = flags
        const order = { licensee, devices: Number(devices), days: Number(days) }
        process.stdout.write(`${await issueEvaluationLicense(resolve(flags.state), order)}\n`)
      })
    )
}
