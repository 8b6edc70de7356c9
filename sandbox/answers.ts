/**
 * The sample answers of a sandbox, as `keyscaler apply` reads them: its own servers, the guide's partition, one address
 * for all four services. Secrets stay in their 0600 files; the answers name the files.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { issueEvaluationLicense } from '../lib/license/evaluation-issuer.ts'
import { catalog, type ServiceName } from '../services/catalog.ts'
import { freePort, portIsFree } from './ports.ts'
import type { Sandbox } from './sandbox.ts'
import { keptPassword, writePrivate } from './secrets.ts'

export interface SampleFiles {
  /** The answers file (0600). */
  readonly answers: string
  /** Every generated password in plain words, for a person (0600). */
  readonly passwords: string
  /** The first administrator's, alone (0600). */
  readonly administratorPassword: string
  /** The state folder that the evaluation licence is bound to: give it to serve or apply. */
  readonly state: string
}

export const administrator = { tenant: 'evaluation', fullName: 'First Administrator', email: 'admin@example.com' }
/** Each service has a fixed port of its own, so one address does for all. */
const address = 'https://127.0.0.1'

/** The one address; with another port where a program on this machine has the service's own. */
async function addressFor(service: ServiceName): Promise<string> {
  return (await portIsFree(catalog[service].port)) ? address : `${address}:${await freePort()}`
}

/** Writes answers, licence and password list into the sandbox's folder; what is there already is kept or refreshed. */
export async function writeSampleFiles(sandbox: Sandbox): Promise<SampleFiles> {
  const { dir, luna, nss, mariadb } = sandbox
  const state = join(dir, 'state')
  const account = keptPassword(dir, 'administrator')
  const license = join(dir, 'license.txt')
  if (!existsSync(license)) {
    writePrivate(license, await issueEvaluationLicense(state, { licensee: 'Evaluation', devices: 100, days: 90 }))
  }
  const answers = join(dir, 'answers.yaml')
  writePrivate(answers, stringify({ apiVersion: 'setup/v1', steps: await sampleSteps(sandbox, account.file, license) }))
  const passwords = join(dir, 'passwords.txt')
  writePrivate(
    passwords,
    [
      `Database user ${mariadb.user}: ${mariadb.password}`,
      `Crypto Officer of partition ${luna.label} (slot ${luna.slot}): ${luna.pin}`,
      `Password for a new NSS key store in ${nss.folder}: ${nss.password}`,
      `First administrator ${administrator.email}, for step 5: ${account.password}`,
      ''
    ].join('\n')
  )
  return { answers, passwords, administratorPassword: account.file, state }
}

async function sampleSteps(sandbox: Sandbox, accountFile: string, license: string): Promise<object> {
  const { mariadb, memcached, kafka, luna } = sandbox
  return {
    welcome: { acceptTerms: true },
    database: {
      dbHost: mariadb.host,
      dbPort: mariadb.port,
      dbName: 'keyscaler',
      dbUser: mariadb.user,
      dbPassword: { file: mariadb.passwordFile }
    },
    kms: {
      keyStore: 'gemalto-safenet',
      slot: luna.slot,
      partition: luna.label,
      password: { file: luna.pinFile },
      library: luna.module,
      confPath: luna.confPath,
      kmsHost: await addressFor('kms')
    },
    memcached: { servers: memcached.server },
    account: { ...administrator, password: { file: accountFile }, passwordAgain: { file: accountFile } },
    license: { license: { file: license } },
    kafka: {
      security: 'PLAINTEXT',
      brokers: kafka.brokers.join(','),
      topicPrefix: 'keyscaler',
      partitions: 4,
      replication: 1
    },
    dae: { daeHost: await addressFor('dae') },
    mqs: { mqsHost: await addressFor('mqs') },
    cp: { cpHost: await addressFor('cp') },
    complete: {}
  }
}
