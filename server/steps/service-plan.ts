/** What the configurations of all services have in common, from the answers: where it listens, and how it proves itself. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { ServiceName } from '../../services/catalog.ts'
import { serviceAddress } from '../deploy/addresses.ts'
import { identityFiles, trustPath } from '../deploy/identity-files.ts'
import { serviceDatabase } from '../deploy/service-database.ts'
import { ensureIdentity, type Issue } from '../deploy/service-identity.ts'
import type { ApplyContext } from './apply-context.ts'
import { judgeCertificate } from './given-certificate.ts'
import type { GivenCertificate } from './host-fields.ts'
import { placeOf } from './host-place.ts'

export interface DeployedService {
  readonly service: ServiceName
  /** As typed. */
  readonly address: string
  readonly given: GivenCertificate
  /** Services that it calls: their certificates, where given, are trusted too. */
  readonly calls: readonly ServiceName[]
}

/** The part of the configuration that all have; issues the certificates on the way. */
export async function serviceBase(context: ApplyContext, wanted: DeployedService, issue: Issue) {
  const { stateDir } = context
  const { service } = wanted
  const { host, port, address } = serviceAddress(service, wanted.address)
  const place = await placeOf(host)
  if (place === null) throw new AppError('check-failed', `${host} does not resolve by DNS or /etc/hosts.`)
  const { certificate, key } = await context.effect('certificate', service, () =>
    ensureIdentity(stateDir, service, host, issue)
  )
  return {
    listen: { host: place.listenHost, port },
    address,
    tls: (await givenFiles(context, wanted)) ?? { certificate, key },
    identity: { certificate, key, ca: await trustFile(context, service, wanted.calls) },
    database: await serviceDatabase(stateDir, service, await context.answersOf('database'))
  }
}

/** From the KMS, with a request that proves the key. */
export function issuedByKms(context: ApplyContext, service: ServiceName): Issue {
  return async ({ csr, dnsNames, ipAddresses }) => {
    const kms = await context.kms()
    const { certificate } = await kms.issueServiceCertificate({ service, csr, dnsNames, ipAddresses })
    return certificate
  }
}

/**
 * What the caller trusts: the internal CA first, then the roots of the certificates that the administrator gave to the
 * services it calls. @returns path of a PEM file
 */
export async function trustFile(context: ApplyContext, caller: string, calls: readonly ServiceName[]): Promise<string> {
  const { ca } = identityFiles(context.stateDir, caller)
  const roots = new Set<string>()
  for (const called of calls) {
    const { certificate, [`${called}Host`]: typed } = await context.answersOf(called)
    if (typeof certificate !== 'string' || typeof typed !== 'string') continue
    const { anchor } = judgeCertificate(certificate, null, serviceAddress(called, typed).host)
    if (anchor !== null) roots.add(anchor.toString())
  }
  const file = trustPath(context.stateDir, caller)
  if (roots.size === 0) {
    await rm(file, { force: true })
    return ca
  }
  await writePrivateFile(file, [await readFile(ca, 'utf8'), ...roots].join('\n'))
  return file
}

async function givenFiles(context: ApplyContext, { service, given }: DeployedService) {
  if (given.certificate === undefined) return null
  const key = await context.secretFile(service, 'certificateKey')
  if (key === undefined) throw new AppError('internal', 'The private key of the certificate was not kept.')
  const certificate = join(context.stateDir, 'tls', `${service}-given.crt`)
  await writePrivateFile(certificate, `${given.certificate.trim()}\n`)
  return { certificate, key }
}
