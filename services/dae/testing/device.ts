/** Devices as they are: a key and a request by openssl, an enrolment by EST. */
import { X509Certificate } from 'node:crypto'
import { file, openssl } from '../../../lib/x509/testing.ts'
import type { Answer, RunningService } from '../../testing/service-process.ts'

const keyOptions = {
  'P-256': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'RSA-2048': ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'RSA-1024': ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024']
} as const

/** Path of a new private key. */
export function newKey(kind: keyof typeof keyOptions = 'P-256'): string {
  return file(openssl('genpkey', '-algorithm', ...keyOptions[kind]))
}

/** PKCS#10 as base64 of DER. @param more further arguments of `openssl req` */
export function requestFor(name: string, key: string = newKey(), ...more: readonly string[]): string {
  return bare(openssl('req', '-new', '-key', key, '-subj', `/CN=${name}`, ...more))
}

/** What stands between the lines of a PEM, without line breaks. */
export function bare(pem: string): string {
  return pem.replace(/-----[^-]*-----|\s/g, '')
}

export function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}

export interface Enrolling {
  readonly name: string
  readonly secret: string
  /** Default: one for a new P-256 key. */
  readonly csr?: string
  readonly type?: string
}

export function enrol(dae: RunningService, { name, secret, csr, type }: Enrolling): Promise<Answer> {
  return dae.ask('/.well-known/est/simpleenroll', {
    body: csr ?? requestFor(name),
    headers: { 'content-type': type ?? 'application/pkcs10', authorization: basic(name, secret) }
  })
}

/** The one certificate of an EST answer. */
export function certificateIn({ status, text }: Pick<Answer, 'status' | 'text'>): X509Certificate {
  if (status !== 200) throw new Error(`answered ${status}: ${text}`)
  const der = file(Buffer.from(text, 'base64'))
  const pems =
    openssl('pkcs7', '-inform', 'DER', '-in', der, '-print_certs').match(/-----BEGIN[\s\S]*?END [^\n]*/g) ?? []
  const [pem, ...more] = pems
  if (pem === undefined || more.length > 0) throw new Error(`${pems.length} certificates`)
  return new X509Certificate(pem)
}
