/** What stands on Setup Complete!: the services, the key store, fingerprints, and what is left to do. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Pool } from 'mysql2/promise'
import { fingerprint } from '../../../lib/x509/fingerprint.ts'
import { catalog } from '../../../services/catalog.ts'
import { fipsModeOf } from '../../checks/key-store/evidence.ts'
import { readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { identityFiles } from '../../deploy/identity-files.ts'
import { readDeployedConfig, runFolder } from '../../deploy/process/run-folder.ts'
import { reachOf } from '../../deploy/process/service-request.ts'
import type { ServiceStatus } from '../../deploy/target.ts'
import { activeMasterKey, lastDrill } from './recovery-drill.ts'

export interface InstallResult {
  readonly verdict: { readonly ok: boolean; readonly text: string }
  readonly services: readonly {
    readonly title: string
    readonly address: string
    readonly state: string
    readonly ok: boolean
    readonly lastCheck: string
  }[]
  readonly hsm: {
    readonly hsmProtected: boolean
    readonly label: string
    readonly serial: string
    readonly slot: string
    /** As the proof before deployment found it; `unknown` for a software key store. */
    readonly fipsMode: 'on' | 'off' | 'unknown'
    readonly masterKeyId: string
    /** When data under the master key was opened again after the KMS had been restarted; absent: not proved yet. */
    readonly decryptedAfterRestart?: string
  }
  readonly caFingerprint: string
  readonly enrolCommand: string
  readonly controlPanel: string
  readonly stillToDo: readonly string[]
}

export async function installResult(
  stateDir: string,
  database: Pool | null,
  statuses: readonly ServiceStatus[],
  now: Date = new Date()
): Promise<InstallResult> {
  const record = await readKeyStoreRecord(stateDir)
  const ca = identityFiles(stateDir, 'wizard').ca
  const certificate = await readFile(ca).then(
    (pem) => new X509Certificate(pem),
    () => null
  )
  const masterKey = database === null ? null : await activeMasterKey(database)
  const drill = await lastDrill(stateDir, masterKey)
  const sick = statuses.filter(({ state }) => state !== 'ready')
  const ok = statuses.length === Object.keys(catalog).length && sick.length === 0
  const address = (name: ServiceStatus['name']) => statuses.find((status) => status.name === name)?.address ?? ''
  return {
    verdict: { ok, text: ok ? 'All services run and are ready.' : verdictFor(sick) },
    services: statuses.map(({ name, address: at, state, detail }) => ({
      title: catalog[name].title,
      address: at,
      state: state === 'ready' ? 'ready' : `${state}: ${detail}`,
      ok: state === 'ready',
      lastCheck: inUtc(now)
    })),
    hsm: {
      hsmProtected: record?.profile === 'gemalto-safenet',
      label: record?.label ?? 'not known',
      serial: record?.serial ?? 'not known',
      slot: record === null ? 'not known' : String(record.slot),
      fipsMode: fipsWords(fipsModeOf(record?.evidence ?? null, record?.serial ?? '')),
      masterKeyId: masterKey ?? 'not known',
      ...(drill === null ? {} : { decryptedAfterRestart: inUtc(new Date(drill.at)) })
    },
    caFingerprint: certificate === null ? 'not made yet' : fingerprint(certificate),
    enrolCommand: enrolCommand(address('dae'), (await daeHasGiven(stateDir)) ? null : ca),
    controlPanel: address('cp'),
    stillToDo: [
      record?.profile === 'nss'
        ? `Back up the key store's folder: without it, what the master key protects is lost.`
        : 'Back up the partition of the HSM: without it, what the master key protects is lost with the HSM.',
      'Back up the database and the state folder.',
      `Open the firewall for devices and administrators: TCP ${portsOf(statuses)}.`,
      'Deploy the DDKG packages (proprietary, not included).'
    ]
  }
}

function fipsWords(on: boolean | null): InstallResult['hsm']['fipsMode'] {
  return on === null ? 'unknown' : on ? 'on' : 'off'
}

/** 2026-03-01 10:42:09 UTC */
function inUtc(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function verdictFor(sick: readonly ServiceStatus[]): string {
  if (sick.length === 0) return 'Not all services are deployed.'
  return `Not ready: ${sick.map(({ name, detail }) => `${catalog[name].title} (${detail})`).join(', ')}.`
}

/** The administrator's own certificate leads to a root that the system trusts (a check of its step), not to the internal CA. */
async function daeHasGiven(stateDir: string): Promise<boolean> {
  const reach = reachOf(await readDeployedConfig(runFolder(stateDir, 'dae')))
  return reach !== null && reach.tls.certificate !== identityFiles(stateDir, 'dae').certificate
}

/**
 * For a device named device-1, registered in the Control Panel; curl asks for the one-time secret itself.
 * @param ca null: whom the system trusts
 */
function enrolCommand(dae: string, ca: string | null): string {
  return [
    'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device-1.key \\',
    '  -subj /CN=device-1 -outform DER | openssl base64 > device-1.p10',
    `curl ${ca === null ? '' : `--cacert ${ca} `}--user device-1 \\`,
    '  -H "Content-Type: application/pkcs10" --data-binary @device-1.p10 \\',
    `  ${dae}/.well-known/est/simpleenroll |`,
    '  openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out device-1.crt'
  ].join('\n')
}

function portsOf(statuses: readonly ServiceStatus[]): string {
  return statuses
    .filter(({ name }) => name === 'dae' || name === 'cp')
    .map(({ address }) => new URL(address).port)
    .join(', ')
}
