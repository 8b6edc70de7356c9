/** What an install has made, seen by others than itself: the database, the partition by pkcs11-tool, /proc, the files. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startTimeOf } from '../../lib/process/start-time.ts'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { serviceNames } from '../../services/catalog.ts'
import type { InstallWorld } from './world.ts'

const run = promisify(execFile)

/** As it is after all eleven steps, however often they were cut off: one of each, nothing half made, nobody left over. */
export const wholeInstall = {
  keys: [
    'master: active',
    'service-ca: active',
    'signing acme: active',
    'tenant acme: active',
    'tenant-ca acme: active'
  ],
  objects: [
    'Private Key Object service-ca',
    'Private Key Object signing acme',
    'Private Key Object tenant-ca acme',
    'Public Key Object service-ca',
    'Public Key Object signing acme',
    'Public Key Object tenant-ca acme',
    'Secret Key Object master',
    'Secret Key Object tenant acme'
  ],
  rows: {
    installs: 1,
    tenants: 1,
    administrators: 1,
    participants: 1,
    licenses: 1,
    certificate_authorities: 1
  },
  unfinished: [],
  services: serviceNames.map((name) => `${name}: recorded process listens once`),
  programs: [
    'lib/keystore/agent.ts',
    'services/cp/main.ts',
    'services/dae/main.ts',
    'services/kms/main.ts',
    'services/mqs/main.ts'
  ],
  serviceCaIsTheOneOnFile: true,
  rejectedLogins: 0
}

export async function whatStands(world: InstallWorld): Promise<typeof wholeInstall> {
  const { query, stateDir } = world
  const keys = await query('SELECT id, purpose, tenant, state, certificate FROM {db}.kms_keys ORDER BY purpose, tenant')
  const nameOf = ({ purpose, tenant }: Readonly<Record<string, unknown>>) => `${purpose} ${tenant}`.trim()
  const names = new Map(keys.map((row) => [String(row.id), nameOf(row)]))
  const ca = keys.find(({ purpose }) => purpose === 'service-ca')?.certificate
  const onFile = new X509Certificate(readFileSync(join(stateDir, 'tls/service-ca.crt')))
  const rows = { ...wholeInstall.rows }
  for (const table of Object.keys(rows) as (keyof typeof rows)[]) {
    const [counted] = await query(`SELECT COUNT(*) AS rows_ FROM {db}.${table}`)
    rows[table] = Number(counted?.rows_)
  }
  const unfinished = await query(
    `SELECT CONCAT(kind, ' ', name) AS what FROM {db}.ledger WHERE state = 'intent'
     UNION ALL SELECT CONCAT('step ', step) FROM {db}.answers a WHERE applied_at IS NULL AND revision =
       (SELECT MAX(revision) FROM {db}.answers b WHERE b.step = a.step)`
  )
  return {
    keys: keys.map((row) => `${nameOf(row)}: ${row.state}`).sort(),
    // SoftHSM, killed while it writes one, leaves a stump without an id; a real partition makes it whole or not at all.
    objects: (await objectsIn(world))
      .filter(([, id]) => id !== '')
      .map(([type, id]) => `${type} ${names.get(id) ?? id}`)
      .sort(),
    rows,
    unfinished: unfinished.map(({ what }) => String(what)) as [],
    services: serviceNames.map((name) => `${name}: ${listening(world, name)}`),
    programs: programsOf(world),
    serviceCaIsTheOneOnFile: Buffer.isBuffer(ca) && onFile.raw.equals(ca),
    rejectedLogins: (await readLunaState(world.luna.confPath)).rejections
  }
}

/** Pids of the services, by name, as they are recorded. */
export function recordedPids({ stateDir }: InstallWorld): Readonly<Record<string, number>> {
  return Object.fromEntries(serviceNames.map((name) => [name, recordOf(stateDir, name).pid]))
}

/** Programs of this install that run, without `keyscaler` itself. */
export function programsOf(world: InstallWorld): string[] {
  return world
    .processes()
    .map(
      (line) =>
        /[\w-]+(?:\/[\w-]+)+\.(?:ts|mjs)(?= |$)/.exec(line.replace(/\S*\/(?=(?:lib|services|server)\/)/g, ''))?.[0]
    )
    .map((program) => program ?? 'unknown')
    .filter((program) => program !== 'server/cli.mjs')
    .sort()
}

/** Type and CKA_ID of every object in the partition. */
export async function objectsIn({ luna }: InstallWorld): Promise<(readonly [type: string, id: string])[]> {
  const env = { ...process.env, ChrystokiConfigurationPath: luna.confPath, PIN: luna.pin }
  const args = ['--module', luna.module, '--slot', String(luna.slot), '--login', '--pin', 'env:PIN', '--list-objects']
  const { stdout } = await run('pkcs11-tool', args, { env })
  return stdout
    .split(/^(?=\w+ Key Object)/m)
    .filter((object) => object.includes('Object;'))
    .map((object) => [object.split(';')[0] ?? '', /ID:\s+(\w+)/.exec(object)?.[1] ?? ''])
}

function recordOf(stateDir: string, service: string): { readonly pid: number; readonly startTime: string } {
  return JSON.parse(readFileSync(join(stateDir, 'run', service, 'pid.json'), 'utf8'))
}

function listening({ stateDir, ports }: InstallWorld, service: (typeof serviceNames)[number]): string {
  const { pid, startTime } = recordOf(stateDir, service)
  const listeners = socketsAt(ports[service])
  const who = startTimeOf(pid) === startTime ? 'recorded process' : 'no recorded process'
  return listeners === 1 ? `${who} listens once` : `${who}, ${listeners} listeners`
}

/** Listening TCP sockets at this port: proc_net(5), state 0A. */
function socketsAt(port: number): number {
  const at = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const sockets = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1))
  return sockets.filter((line) => {
    const [, local, , state] = line.trim().split(/\s+/)
    return state === '0A' && local?.endsWith(at)
  }).length
}
