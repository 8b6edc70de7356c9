/** The ports that others must reach, opened in the firewall that is at work here: firewalld, ufw, or nftables itself. */
import { shellText } from './commands.ts'
import { mustRun } from './packages.ts'
import type { Look, Prerequisite, PrerequisiteGround } from './prerequisite.ts'

export const firewall: Prerequisite = {
  id: 'firewall',
  title: 'Firewall',
  look: async (ground) => {
    const { commands, ports, isRoot } = ground
    const list = ports.join(', ')
    if (!isRoot) return { state: 'unknown', say: `Only root sees what is open; TCP ${list} must be.`, commands: [] }
    const found = (await firewalld(ground)) ?? (await ufw(ground)) ?? (await nftables(ground))
    if (found === null) {
      const others = (await commands.find('iptables')) === null ? '' : ' What iptables alone does is not looked at.'
      return { state: 'there', say: `No firewall keeps TCP ${list} closed here.${others}`, commands: [] }
    }
    const { name, opening, note = '' } = found
    if (opening.length === 0) return { state: 'there', say: `${name} lets TCP ${list} in.`, commands: [] }
    return {
      state: 'missing',
      say: `${name} is at work and does not let in all of TCP ${list}.${note}`,
      commands: opening.map(shellText),
      bring: async () => {
        for (const argv of opening) await mustRun(ground, argv)
      }
    } satisfies Look
  }
}

interface Found {
  readonly name: string
  /** What opens the ports that are closed; none: all are open. */
  readonly opening: readonly (readonly string[])[]
  readonly note?: string
}

async function firewalld({ commands, ports }: PrerequisiteGround): Promise<Found | null> {
  if ((await commands.find('firewall-cmd')) === null) return null
  if ((await commands.run(['firewall-cmd', '--state'])).code !== 0) return null
  const closed: number[] = []
  for (const port of ports) {
    const { code } = await commands.run(['firewall-cmd', '--permanent', `--query-port=${port}/tcp`])
    if (code !== 0) closed.push(port)
  }
  const adding = closed.map((port) => ['firewall-cmd', '--permanent', `--add-port=${port}/tcp`])
  return { name: 'firewalld', opening: closed.length === 0 ? [] : [...adding, ['firewall-cmd', '--reload']] }
}

async function ufw({ commands, ports }: PrerequisiteGround): Promise<Found | null> {
  if ((await commands.find('ufw')) === null) return null
  const { stdout } = await commands.run(['ufw', 'status'])
  if (!/^Status: active$/m.test(stdout)) return null
  const closed = ports.filter((port) => !new RegExp(`^${port}(/tcp)?\\s+ALLOW`, 'm').test(stdout))
  return { name: 'ufw', opening: closed.map((port) => ['ufw', 'allow', `${port}/tcp`, 'comment', 'KeyScaler']) }
}

interface NftObject {
  readonly chain?: {
    readonly family: string
    readonly table: string
    readonly name: string
    readonly hook?: string
    readonly policy?: string
  }
  readonly rule?: { readonly family: string; readonly table: string; readonly chain: string; readonly comment?: string }
}

const nftNote = ' What is added at run time is gone with a restart: write it in /etc/nftables.conf as well.'

/** Each chain that filters what comes in is passed by itself: what one accepts another may still drop. */
async function nftables({ commands, ports }: PrerequisiteGround): Promise<Found | null> {
  if ((await commands.find('nft')) === null) return null
  const { code, stdout } = await commands.run(['nft', '--json', 'list', 'ruleset'])
  if (code !== 0) return null
  const objects = (JSON.parse(stdout) as { readonly nftables: readonly NftObject[] }).nftables
  const rules = objects.flatMap(({ rule }) => rule ?? [])
  const chains = objects
    .flatMap(({ chain }) => chain ?? [])
    .filter(({ hook, family }) => hook === 'input' && ['ip', 'ip6', 'inet'].includes(family))
  const opening: string[][] = []
  let closing = 0
  for (const { family, table, name, policy } of chains) {
    const own = rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name)
    if (policy !== 'drop' && !own.some((rule) => /"(drop|reject)"/.test(JSON.stringify(rule)))) continue
    closing += 1
    for (const port of ports) {
      const comment = `keyscaler-${port}`
      if (own.some((rule) => rule.comment === comment)) continue
      const rule = ['tcp', 'dport', String(port), 'accept', 'comment', `"${comment}"`]
      opening.push(['nft', 'insert', 'rule', family, table, name, ...rule])
    }
  }
  return closing === 0 ? null : { name: 'nftables', opening, note: nftNote }
}
