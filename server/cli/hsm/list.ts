import type { Command } from 'commander'
import { AppError, messageOf } from '../../../lib/errors/app-error.ts'
import { clientTitle } from '../../checks/hsm-client.ts'
import { ending, printable, say } from '../console.ts'
import { slotListText } from './lunacm-text.ts'
import { type ClientFlags, clientsMeant, configOf, listPartitions, withClient, withOutput } from './which-partition.ts'

export function registerList(hsm: Command, defaultState: string): void {
  withOutput(
    withClient(
      hsm.command('list').description('Prints the partitions of every HSM client, as `slot list` in lunacm. No login.'),
      defaultState
    )
  ).action((flags: ClientFlags & { readonly output: string }) => ending(() => list(flags)))
}

async function list(flags: ClientFlags & { readonly output: string }): Promise<void> {
  const clients = []
  for (const client of await clientsMeant(flags)) {
    const { kind, module, confPath } = client
    try {
      const { slots, unusableSlots, haGroups } = await listPartitions(configOf(client))
      clients.push({ kind, library: module, confPath, problem: null, partitions: slots, unusableSlots, haGroups })
      if (flags.output === 'json') continue
      // With the partitions, wherever they go: of several clients, each has its own.
      process.stdout.write(`${printable(`${clientTitle(client)}\n${slotListText(slots, haGroups)}`)}\n`)
      for (const { slot, failure } of unusableSlots) {
        say(
          `Slot ${slot} is listed and ${failure === null ? 'holds no token' : `does not answer (${failure.ckr})`}: \`vtl verify\` must show it.`
        )
      }
    } catch (thrown) {
      clients.push({
        kind,
        library: module,
        confPath,
        problem: messageOf(thrown),
        partitions: [],
        unusableSlots: [],
        haGroups: []
      })
      say(messageOf(thrown))
      if (thrown instanceof AppError && thrown.cure !== undefined) say(`  ${thrown.cure}`)
    }
  }
  if (flags.output === 'json') process.stdout.write(`${JSON.stringify({ clients }, null, 2)}\n`)
  if (clients.every(({ problem }) => problem !== null)) process.exitCode = 4
}
