/** Looks for secrets that a test has planted, in every form in which they could have leaked. */

/** Secrets by the name under which a leak is told. */
export type Canaries = ReadonlyMap<string, string>

/** Below this a form could stand somewhere by chance. */
const shortest = 10

/** Where a canary was found: "Crypto Officer password in credentials/kms-password". */
export function leaksIn(canaries: Canaries, where: string, content: string | Buffer): string[] {
  // Latin-1 keeps every byte; the forms are spelled the same way.
  const text = typeof content === 'string' ? Buffer.from(content).toString('latin1') : content.toString('latin1')
  const lower = text.toLowerCase()
  const found = [...canaries].filter(([, secret]) => {
    const { exact, hex } = formsOf(secret)
    return exact.some((form) => text.includes(form)) || lower.includes(hex)
  })
  return found.map(([name]) => `${name} in ${where}`)
}

const known = new Map<string, { readonly exact: readonly string[]; readonly hex: string }>()

function formsOf(secret: string) {
  const before = known.get(secret)
  if (before !== undefined) return before
  const bytes = Buffer.from(secret)
  const inJson = JSON.stringify(secret).slice(1, -1)
  const texts = [
    secret,
    inJson,
    JSON.stringify(inJson).slice(1, -1),
    encodeURIComponent(secret),
    encodeURI(secret),
    new URLSearchParams({ '': secret }).toString().slice(1),
    secret.replace(/[&<>"']/g, (sign) => htmlEscapes[sign] ?? sign),
    // As in a dump.
    secret.replace(/[\\'"]/g, '\\$&'),
    secret.replace(/\\/g, '\\\\').replace(/'/g, "''")
  ].map((text) => Buffer.from(text).toString('latin1'))
  const exact = [...new Set([...texts, ...[0, 1, 2].flatMap((offset) => base64Within(bytes, offset))])]
  const forms = { exact: exact.filter((form) => form.length >= shortest), hex: bytes.toString('hex') }
  if (forms.exact.length === 0) throw new Error('too short to be looked for')
  known.set(secret, forms)
  return forms
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}

/** The part of a longer base64 text that does not depend on what stands before and after the secret. */
function base64Within(bytes: Buffer, offset: number): string[] {
  const length = offset + bytes.length
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
  const core = encoded.slice(offset === 0 ? 0 : 4, Math.floor(length / 3) * 4)
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')]
}
