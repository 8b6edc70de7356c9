/**
 * The report of `keyscaler hsm check --report`: what the check saw at a real HSM, to be passed on. Names that say whose it
 * is (labels, serial numbers, hosts, own folders) become "label-1" and the like, the same one each time.
 */
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import { readLunaConfiguration } from '../../../lib/luna-client/inspect-client.ts'
import { observeHost } from '../../checks/host.ts'
import type { Diagnosis } from '../../checks/key-store/diagnose.ts'
import { product } from '../../web/product.ts'

type Names = readonly (readonly [name: string, alias: string])[]

/** Only its owner may read it. @throws what writing throws */
export async function writeReport(
  file: string,
  { findings, facts, evidence }: Diagnosis,
  place: { readonly stateDir: string; readonly confPath: string | null }
): Promise<void> {
  const { system, kernel, machine } = await observeHost(place.stateDir)
  const configuration = await readLunaConfiguration(place.confPath)
  const hosts = [configuration?.cloud, ...(configuration?.appliances ?? [])].map((peer) => peer?.name ?? '')
  const groups = configuration?.haGroups ?? []
  const folders = [place.stateDir, place.confPath ?? '', dirname(evidence.module.path)]
  const names: Names = [
    ...aliases(
      'folder',
      folders.filter((folder) => !/^\/(usr|opt|etc)(\/|$)/.test(folder))
    ),
    ...aliases('host', [hostname(), ...hosts]),
    ...aliases('serial', [
      ...facts.slots.map(({ serial }) => serial),
      ...groups.flatMap((group) => [group.serial, ...group.members])
    ]),
    ...aliases('label', [...facts.slots.map(({ label }) => label), ...groups.map(({ label }) => label)])
  ]
  const report = {
    product: `${product.version} (${product.build})`,
    host: { system, kernel, machine, node: process.version },
    findings: findings.map(({ id, verdict, say, cure, ckr, ms }) => ({ id, verdict, say, cure, ckr, ms })),
    evidence,
    partitions: facts.slots
  }
  await writePrivateFile(file, `${JSON.stringify(redact(report, names), null, 2)}\n`)
}

function aliases(kind: string, names: readonly string[]): Names {
  const known = [...new Set(names)].filter((name) => name !== '')
  return known
    .map((name, at) => [name, `${kind}-${at + 1}`] as const)
    .sort(([one], [other]) => other.length - one.length)
}

/** Every string of a value with the names replaced, where they stand alone; keys and numbers stay. Pure. */
export function redact(value: unknown, names: Names): unknown {
  if (typeof value === 'string') {
    return names.reduce((text, [name, alias]) => text.replace(wholeWord(name), alias), value)
  }
  if (Array.isArray(value)) return value.map((one) => redact(one, names))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, redact(one, names)]))
}

function wholeWord(name: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])${name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}(?![\\p{L}\\p{N}])`, 'gu')
}
