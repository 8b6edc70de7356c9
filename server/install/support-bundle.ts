/**
 * What somebody who helps needs to see, and nothing else: an allow-list of facts and files, each with the reason why it is in
 * it. Made also when database, KMS or the whole install are not there: what cannot be had says so. No secret is asked for,
 * and redaction.ts cuts out one that stood there by mistake; names of people are left out.
 */
import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RowDataPacket } from 'mysql2/promise'
import { messageOf } from '../../lib/errors/app-error.ts'
import { fingerprint } from '../../lib/x509/fingerprint.ts'
import manifest from '../../package.json' with { type: 'json' }
import { serviceNames } from '../../services/catalog.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { runFolder } from '../deploy/process/run-folder.ts'
import { hostTable } from '../steps/welcome/host-table.ts'
import type { Install } from './install.ts'
import { redactorOf } from './redaction.ts'

export interface BundleEntry {
  readonly name: string
  /** Why it is in it, for the preview. */
  readonly why: string
  readonly text: string
}

interface Ground {
  readonly stateDir: string
  /** Null: there is none, or it cannot be opened. */
  readonly install: Install | null
}

interface Source {
  readonly name: string
  readonly why: string
  readonly collect: (ground: Ground) => Promise<string>
}

/** Of each log, from its end. */
const mostOfALog = 512 * 1024
/** Answers about a person. */
const personal: ReadonlySet<string> = new Set(['fullName', 'email'])
const longestAnswer = 500

const inJson = (name: string, why: string, collect: (ground: Ground) => Promise<unknown>): Source => ({
  name,
  why,
  collect: async (ground) => `${JSON.stringify(await collect(ground), null, 2)}\n`
})

const ofInstall = <T>(work: (install: Install) => Promise<T>) => {
  return ({ install }: Ground): Promise<T | string> =>
    install === null ? Promise.resolve('there is no install that can be opened') : work(install)
}

const sources: readonly Source[] = [
  inJson('about.json', 'versions, and this machine against the minimum', async ({ stateDir }) => ({
    product: manifest.version,
    node: process.version,
    at: new Date().toISOString(),
    stateDir,
    host: await hostTable(stateDir)
  })),
  inJson(
    'install.json',
    'how far setup is',
    ofInstall(async (install) => ({
      install: install.id,
      finishedAt: install.finishedAt(),
      progress: await install.progress()
    }))
  ),
  inJson(
    'answers.json',
    'what was answered, without secrets and without names of people',
    ofInstall(async (install) =>
      [...(await install.answers())].map(([step, { revision, actor, at, appliedAt, values, secrets }]) => ({
        ...{ step, revision, by: actor, at, appliedAt, secretsKept: Object.keys(secrets) },
        values: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, answerOf(name, value)]))
      }))
    )
  ),
  inJson(
    'checks.json',
    'what the checks saw when a step was submitted',
    ofInstall(async (install) =>
      [...(await install.answers())].map(([step, { at, findings }]) => ({ step, at, findings }))
    )
  ),
  inJson(
    'ledger.json',
    'every effect of setup, and how far it is',
    ofInstall((install) => install.ledger())
  ),
  inJson(
    'plan.json',
    'what apply would do now',
    ofInstall((install) => install.plan({}))
  ),
  inJson(
    'services.json',
    'what runs, and since when',
    ofInstall((install) => install.target.status())
  ),
  inJson('database.json', 'version, migrations, and how many rows a table has', ofInstall(databaseFacts)),
  inJson('key-store.json', 'which token and library; ids, no key', async ({ stateDir }) =>
    readKeyStoreRecord(stateDir)
  ),
  inJson('certificates.json', 'subject, end and fingerprint of each', ({ stateDir }) =>
    certificates(join(stateDir, 'tls'))
  ),
  inJson('files.json', 'names, sizes and modes in the state folder; no content', ({ stateDir }) => fileList(stateDir)),
  ...serviceNames.flatMap((service): Source[] => [
    {
      name: `run/${service}/config.json`,
      why: 'what it was deployed with; secrets are paths of files in it',
      collect: ({ stateDir }) => readFile(runFolder(stateDir, service).config, 'utf8')
    },
    {
      name: `run/${service}/service.log`,
      why: `the end of its log, at most ${mostOfALog / 1024} kB`,
      collect: ({ stateDir }) => endOfLog(runFolder(stateDir, service).log)
    }
  ])
]

/** @returns in a fixed order; never throws for one that cannot be had: its text says why */
export async function supportBundle(ground: Ground): Promise<readonly BundleEntry[]> {
  // Where the database does not answer, none of them can be in what could be had of it.
  const account = await ground.install?.storedAnswers('account').catch(() => undefined)
  const names = Object.entries(account?.values ?? {}).filter(([name]) => personal.has(name))
  const redacted = await redactorOf(
    ground.stateDir,
    names.map(([, value]) => String(value))
  )
  const entries: BundleEntry[] = []
  for (const { name, why, collect } of sources) {
    const text = await collect(ground).catch((thrown) => `This could not be had: ${messageOf(thrown)}\n`)
    entries.push({ name, why, text: redacted(text) })
  }
  return entries
}

function answerOf(name: string, value: unknown): unknown {
  if (personal.has(name)) return '(left out)'
  return typeof value === 'string' && value.length > longestAnswer ? `(${value.length} characters)` : value
}

async function databaseFacts(install: Install): Promise<unknown> {
  const database = install.database()
  if (database === null) return 'the database step is not done'
  const [[version]] = await database.query<RowDataPacket[]>('SELECT VERSION() AS version')
  const [migrations] = await database.query<RowDataPacket[]>(
    'SELECT name, applied_at FROM schema_migrations ORDER BY name'
  )
  const [tables] = await database.query<RowDataPacket[]>(
    'SELECT table_name AS name, table_rows AS about FROM information_schema.tables WHERE table_schema = DATABASE()'
  )
  return { ...version, migrations, tables }
}

async function certificates(folder: string): Promise<unknown> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).sort()
  return Promise.all(
    names.map(async (name) => {
      const certificate = new X509Certificate(await readFile(join(folder, name)))
      const { subject, validFrom, validTo } = certificate
      return { name, subject, validFrom, validTo, sha256: fingerprint(certificate) }
    })
  )
}

async function fileList(stateDir: string): Promise<unknown> {
  const names = (await readdir(stateDir, { recursive: true })).sort()
  return Promise.all(
    names.map(async (name) => {
      const { size, mode, mtime } = await stat(join(stateDir, name))
      return { name, size, mode: (mode & 0o7777).toString(8), changed: mtime.toISOString() }
    })
  )
}

/** Lines of JSON only: what a library printed past the log is in no form that could be looked through. */
async function endOfLog(path: string): Promise<string> {
  const bytes = await readFile(path)
  const lines = bytes.subarray(-mostOfALog).toString('utf8').split('\n')
  const kept = lines.filter((line) => line.startsWith('{') && line.endsWith('}'))
  const left = lines.filter((line) => line !== '').length - kept.length
  return `${kept.join('\n')}\n${left === 0 ? '' : `(${left} lines that are not of the log are left out)\n`}`
}
