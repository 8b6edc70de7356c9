/** `keyscaler record`: the signed install record, shown, made where it is missing, and verified without any service. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { fingerprint, readFingerprint } from '../../lib/x509/fingerprint.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { hasInstall } from '../install/boot-file.ts'
import { openInstall } from '../install/install.ts'
import { keepRecord, latestRecord } from '../install/record-file.ts'
import { verifyRecord } from '../install/record-signature.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { ending, say } from './console.ts'

interface VerifyFlags {
  readonly state: string
  readonly ca?: string
  readonly caFingerprint?: string
  readonly output: 'text' | 'json'
}

export function registerRecord(program: Command, defaultState: string): void {
  const record = program.command('record').description('The signed record of an install.')
  const withState = (command: Command) =>
    command.option('--state <folder>', 'state folder of the install', defaultState)
  withState(record.command('show').description('Prints the newest record, as it was signed.')).action(
    ({ state }: { readonly state: string }) => ending(() => show(resolve(state)))
  )
  withState(
    record.command('sign').description('Makes the record of a finished install where it is missing; asks the KMS.')
  ).action(({ state }: { readonly state: string }) => ending(() => makeRecord(resolve(state))))
  withState(record.command('verify <file>').description('Verifies a record; asks no service, needs no install.'))
    .option('--ca <file>', 'service CA of the install (PEM); absent: tls/service-ca.crt of the state folder')
    .option('--ca-fingerprint <sha256>', 'its fingerprint instead, as Setup Complete shows it')
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((file: string, flags: VerifyFlags) => ending(() => verifyFile(file, flags)))
}

async function show(stateDir: string): Promise<void> {
  const text = await latestRecord(stateDir)
  if (text === null) {
    throw new AppError('not-found', `There is no record in ${stateDir}.`, {
      cure: 'keyscaler record sign makes the one of a finished install.'
    })
  }
  process.stdout.write(text)
}

async function makeRecord(stateDir: string): Promise<void> {
  if (!(await hasInstall(stateDir))) throw new AppError('not-found', `There is no install in ${stateDir}.`)
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    const path = await keepRecord(install)
    if (path === null) throw new AppError('out-of-order', 'Setup is not finished.')
    process.stdout.write(`${path}\n`)
  } finally {
    await install.close()
  }
}

async function verifyFile(file: string, flags: VerifyFlags): Promise<void> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new AppError('invalid-input', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  })
  const { record, caFingerprint } = verifyRecord(text)
  const wanted = await expectedCa(flags)
  if (wanted === null) {
    throw new AppError('check-failed', `${file} is whole, but nothing says whose it is. Its CA: ${caFingerprint}`, {
      cure: 'Compare that with Setup Complete, then name it: --ca-fingerprint, or --ca <service-ca.crt>.'
    })
  }
  if (wanted !== caFingerprint) {
    throw new AppError('check-failed', `${file} is of another install: its CA is ${caFingerprint}, not ${wanted}.`)
  }
  const { install, finishedAt, planHash, signingKey } = record
  const verdict = { valid: true, install, finishedAt, planHash, signingKey: signingKey.id, ca: caFingerprint }
  if (flags.output === 'json') return void process.stdout.write(`${JSON.stringify(verdict)}\n`)
  say(`${file} is the record of install ${install}, finished at ${finishedAt}.`)
  say(`Signed in the token by the key ${signingKey.id}; service CA ${caFingerprint}.`)
}

/** Null: nobody has said, and there is no install here to ask. @throws AppError invalid-input */
async function expectedCa({ ca, caFingerprint, state }: VerifyFlags): Promise<string | null> {
  if (caFingerprint !== undefined) return fingerprintTyped(caFingerprint)
  const path = ca ?? identityFiles(resolve(state), 'wizard').ca
  const pem = await readFile(path).catch((cause: unknown) => {
    if (ca === undefined) return null
    throw new AppError('invalid-input', `${ca} cannot be read: ${messageOf(cause)}`, { cause })
  })
  return pem === null ? null : fingerprintOf(pem, path)
}

/** @throws AppError invalid-input: an unreadable one must not look like that of another install */
function fingerprintTyped(typed: string): string {
  const read = readFingerprint(typed)
  if (read !== null) return read
  throw new AppError('invalid-input', `--ca-fingerprint takes a SHA-256 fingerprint (64 hex digits), not "${typed}".`, {
    cure: 'Copy the whole one from Setup Complete, or name the file: --ca <service-ca.crt>.'
  })
}

function fingerprintOf(pem: Buffer, path: string): string {
  try {
    return fingerprint(new X509Certificate(pem))
  } catch (cause) {
    throw new AppError('invalid-input', `${path} holds no certificate that can be read.`, {
      cause,
      cure: 'Name the service CA of the install: --ca <state folder>/tls/service-ca.crt, or --ca-fingerprint.'
    })
  }
}
