/**
 * The second wall of a support bundle: what is in it is chosen by name (support-bundle.ts), and should a secret stand in
 * there all the same (a peer's message in a log), it is cut out by its own bytes.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const cut = '[redacted]'
/** Below this a secret would be found where it is none. */
const shortest = 6

/** Of the state folder: whose content is a secret. */
const secretFiles: readonly RegExp[] = [
  /^credentials\//,
  /^shown-once\//,
  /^tls\/.*\.key$/,
  /^pin-guard\/hmac\.key$/,
  /^license-issuer\/(?!.*\.pub\.json$)/,
  /^setup-code$/,
  /^hsm-client\.env$/
]

/**
 * @param names of people, to be cut out too; e-mail addresses are by their form
 * @returns cuts every known secret out of a text, in the forms in which it may stand there
 */
export async function redactorOf(stateDir: string, names: readonly string[]): Promise<(text: string) => string> {
  const forms = new Set([...(await secretsIn(stateDir)), ...names].flatMap(formsOf))
  // The longest first: one secret may begin with another.
  const sorted = [...forms].toSorted((a, b) => b.length - a.length)
  return (text) => withoutPatterns(sorted.reduce((rest, form) => rest.replaceAll(form, cut), text))
}

async function secretsIn(stateDir: string): Promise<string[]> {
  const names = await readdir(stateDir, { recursive: true }).catch(() => [])
  const files = names.filter((name) => secretFiles.some((pattern) => pattern.test(name)))
  const texts = await Promise.all(files.map((name) => readFile(join(stateDir, name), 'utf8').catch(() => '')))
  const whole = texts.map((text) => text.trim())
  // A line of a PEM, the value after "label: ", and each value of a JSON.
  const parts = texts.flatMap((text) => text.split(/: |"|\r?\n/)).map((part) => part.trim())
  return [...new Set([...whole, ...parts.filter((part) => !harmless.test(part))])].filter(
    (part) => part.length >= shortest
  )
}

/** Labels and frames that stand beside a secret in its file, and everywhere else too. */
const harmless = /^(-----(BEGIN|END) [A-Z ]+-----|Participant (ID|secret)|[a-zA-Z]{1,12}|https?:\/\/.*)$/

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const inJson = JSON.stringify(secret).slice(1, -1)
  return [
    ...[secret, inJson, JSON.stringify(inJson).slice(1, -1), encodeURIComponent(secret)],
    ...[bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')]
  ]
}

function withoutPatterns(text: string): string {
  return text
    .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, cut)
    .replace(/\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}/g, `$1 ${cut}`)
    .replace(
      /("(?![A-Za-z]*File")(?:password|passphrase|pin|secret|token)[A-Za-z]*"\s*:\s*)"(?:[^"\\]|\\.)+"/gi,
      `$1"${cut}"`
    )
    .replace(/[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b/g, cut)
    .replace(/(:\/\/[^/\s:@"]+):[^/\s@"]+@/g, `$1:${cut}@`)
}
