/**
 * What answers are made of. Forms send strings ("on", "3306"), scripts may send booleans and numbers; a field sent twice
 * (an array where one value is asked for) is refused. The messages are the product's, by the label of the field.
 */
import { isIP } from 'node:net'
import { z } from 'zod'

/** The guide's words for a value that is absent or empty. */
export const missing = (label: string) => `You must provide a value for ${label}.`

/** For zod's own words, which name no field, in a field that is text. */
export const oneText = (label: string, absent: string) => ({
  error: (issue: { input: unknown }) => (issue.input === undefined ? absent : `${label} must be given once, as text.`)
})

/** Text that must be there; further rules are chained on it. */
export function text(label: string, absent = missing(label)): z.ZodString {
  return z.string(oneText(label, absent)).min(1, { error: absent, abort: true })
}

/** Text that may be absent or empty: both come out as undefined (a field that is not asked for). */
export function optionalText(label: string, most: number) {
  const words = z.string(oneText(label, missing(label))).max(most, `${label} must have at most ${most} characters.`)
  return z.preprocess((raw) => (raw === '' ? undefined : raw), words.optional()).optional()
}

/** A whole number in a range; `initial` stands for one that was not sent, an empty one is missing. */
export function wholeNumber(label: string, least: number, most: number, initial: number, wrong?: string) {
  const says = wrong ?? `${label} must be ${least}–${most}.`
  const number = z
    .int({ error: (issue) => (issue.input === '' ? missing(label) : says) })
    .min(least, says)
    .max(most, says)
  const read = (raw: unknown) =>
    raw === undefined ? initial : typeof raw === 'string' && /^\d{1,10}$/.test(raw) ? Number(raw) : raw
  return z.preprocess(read, number)
}

const ticked: ReadonlySet<unknown> = new Set([true, 'on', 'yes', 'true', '1'])
const unticked: ReadonlySet<unknown> = new Set([undefined, false, '', 'off', 'no', 'false', '0'])

/** What a browser, a script or an answers file calls a ticked box; an absent one is not ticked. */
export function checkbox(label: string) {
  const read = (raw: unknown) => (ticked.has(raw) ? true : unticked.has(raw) ? false : raw)
  return z.preprocess(read, z.boolean({ error: `${label} must be yes or no.` }))
}

/** For `onlyWhen.is`: the spellings of a ticked box. */
export const tickedWords: readonly string[] = [...ticked].map(String)

const hostname =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/

/** A DNS name or an IP address (IPv6 without brackets); nothing that could be read as a URL, path or option. */
export function isHost(host: string): boolean {
  if (isIP(host) !== 0) return true
  // All-numeric labels at the end look like an IPv4 address that isIP refused.
  return hostname.test(host) && !/(^|\.)\d+\.?$/.test(host)
}

interface HostPort {
  readonly host: string
  readonly port: number
}

/** Reads `host:port`, `[::1]:port`, or a host alone with the default port; null when it is neither. */
function readHostPort(written: string, defaultPort: number): HostPort | null {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(written) ?? []
  const host = bracketed ?? plain
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === undefined || !isHost(host) || (bracketed !== undefined && isIP(host) !== 6)) return null
  return port >= 1 && port <= 65535 ? { host: host.toLowerCase(), port } : null
}

function writeHostPort({ host, port }: HostPort): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** 1–16 different servers; lines, commas or spaces part them, JSON may send an array. Comes out as `host:port` each. */
export function servers(label: string, defaultPort: number) {
  const most = 16
  const split = (raw: unknown) => (typeof raw === 'string' ? raw.split(/[\s,;]+/).filter((part) => part !== '') : raw)
  const one = z.string({ error: `${label} must be a list of host:port, each as text.` })
  const list = z
    .array(one, { error: (issue) => (issue.input === undefined ? missing(label) : `${label} must be a list.`) })
    .min(1, { error: missing(label), abort: true })
    .max(most, { error: `${label}: at most ${most}.`, abort: true })
    .transform((written, context) =>
      written.map((one) => {
        const server = readHostPort(one.trim(), defaultPort)
        if (server === null) context.addIssue({ code: 'custom', message: `"${one.slice(0, 80)}" is not host:port.` })
        return server === null ? one : writeHostPort(server)
      })
    )
    .refine((all) => new Set(all).size === all.length, { error: `${label}: each server once.` })
  return z.preprocess(split, list)
}

const certificates = /^(?:\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/

/** One or more certificates as PEM, at most 64 kB; absent or empty comes out as undefined. */
export function optionalCertificates(label: string) {
  const pem = z
    .string(oneText(label, missing(label)))
    .max(65_536, `${label} must be at most 64 kB.`)
    .regex(certificates, `${label} must be one or more certificates in PEM form (-----BEGIN CERTIFICATE-----).`)
  return z.preprocess((raw) => (raw === '' ? undefined : raw), pem.optional()).optional()
}
