/** Plain HTTP on loopback only; any other address speaks TLS, with a given certificate or one made here and kept. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { fingerprint } from '../../lib/x509/fingerprint.ts'

export interface WizardTls {
  readonly certificate: string
  readonly key: string
  /** SHA-256, printed beside the code when the certificate was made here: the administrator compares it. */
  readonly fingerprint?: string
}

export interface TlsWish {
  readonly host: string
  readonly allowedHosts: readonly string[]
  /** Paths of PEM files. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
}

const days = 397
/** What a certificate may name; a machine called `build_7` still gets one for its addresses. */
const certifiableName = /^(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i

/** Null: plain HTTP, which only a loopback address gets. */
export async function wizardTls(wish: TlsWish, stateDir: string): Promise<WizardTls | null> {
  if (wish.tls !== undefined) return givenTls(wish.tls)
  if (isLoopback(wish.host)) return null
  return generatedTls(wish, stateDir)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

async function givenTls(paths: { readonly certificate: string; readonly key: string }): Promise<WizardTls> {
  try {
    const [certificate, key] = await Promise.all([readFile(paths.certificate, 'utf8'), readFile(paths.key, 'utf8')])
    return { certificate, key }
  } catch (cause) {
    throw new AppError('invalid-input', `The TLS certificate cannot be read: ${messageOf(cause)}`, { cause })
  }
}

async function generatedTls(wish: TlsWish, stateDir: string): Promise<WizardTls> {
  const paths = { certificate: join(stateDir, 'tls', 'wizard-web.crt'), key: join(stateDir, 'tls', 'wizard-web.key') }
  const [kept, keptKey] = await Promise.all([readPrivateFile(paths.certificate), readPrivateFile(paths.key)])
  if (kept !== null && keptKey !== null && new X509Certificate(kept).validToDate > new Date()) {
    return { certificate: kept, key: keptKey, fingerprint: fingerprint(new X509Certificate(kept)) }
  }
  const anyAddress = wish.host === '0.0.0.0' || wish.host === '::'
  const wanted = [hostname(), 'localhost', '127.0.0.1', ...(anyAddress ? [] : [wish.host]), ...wish.allowedHosts]
  const names = [...new Set(wanted)].filter((name) => isIP(name) !== 0 || certifiableName.test(name))
  const { selfSignedTls } = await import('../../lib/x509/software-key.ts')
  const made = await selfSignedTls({ names, days })
  await writePrivateFile(paths.key, made.privateKey)
  await writePrivateFile(paths.certificate, made.certificate)
  return {
    certificate: made.certificate,
    key: made.privateKey,
    fingerprint: fingerprint(new X509Certificate(made.certificate))
  }
}
