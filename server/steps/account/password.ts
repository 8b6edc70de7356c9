/**
 * The administrator's password: what is refused, and what is kept of it. Length is the rule that matters (NIST SP 800-63B
 * 5.1.1.2: no composition rules, but a list of what everybody tries first); the list is offline and short, so patterns
 * stand for the many variants of one word.
 */
import { hash, verify } from '@node-rs/argon2'
import { commonWords } from './common-words.ts'

/** @param email empty: not known. @returns the sentence for the field, or null when the password may be used */
export function passwordProblem(password: string, email: string): string | null {
  const length = [...password].length
  if (length < 12 || length > 128) return 'Password must have 12–128 characters.'
  const lower = password.toLowerCase()
  const [name = ''] = email.split('@')
  if ((email !== '' && lower.includes(email)) || (name.length >= 4 && lower.includes(name))) {
    return 'Password must not contain the e-mail address.'
  }
  if (new Set(lower).size < 5 || isRepetition(lower) || isWalk(lower) || isCommonWords(lower)) {
    return 'That password is one of those that are tried first; choose another.'
  }
  return null
}

/** What is kept in place of the password: argon2id, 19 MiB, 2 passes (OWASP's first choice), as a PHC string. */
export async function keptPassword({ password }: { readonly password: string }): Promise<{ password: string }> {
  // Algorithm 2 = argon2id (the package's const enum cannot be used without its type checker).
  const options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }
  return { password: await hash(password, options) }
}

/** Whether it is the password that `keptPassword` kept. */
export async function isKeptPassword(
  { password }: { readonly password: string },
  kept: Readonly<Record<string, string>>
): Promise<boolean> {
  return kept.password !== undefined && (await verify(kept.password, password))
}

/** "abcabcabcabc" */
function isRepetition(lower: string): boolean {
  return (lower + lower).indexOf(lower, 1) < lower.length
}

const walks = [
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  '1234567890',
  '1q2w3e4r5t6y7u8i9o0p',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm'
]
const steps = new Set(walks.flatMap((walk) => [...walk].slice(1).map((key, at) => `${walk[at]}${key}`)))

/** "qwertyuiop12", "123456789012", "abcdefghijkl": nearly each key lies beside the one before. */
function isWalk(lower: string): boolean {
  const keys = [...lower]
  const beside = keys.slice(1).filter((key, at) => {
    const before = keys[at] ?? ''
    const distance = Math.abs((key.codePointAt(0) ?? 0) - (before.codePointAt(0) ?? 0))
    return distance <= 1 || steps.has(before + key) || steps.has(key + before)
  })
  return beside.length >= (keys.length - 1) * 0.8
}

const likeLetters: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't'
}

/** "Password1234", "P@ssw0rd2024!", "welcome-welcome": common words, with digits and signs around and between; or digits only. */
function isCommonWords(lower: string): boolean {
  if (/^\d+$/.test(lower)) return true
  // Digits and signs at the ends are ornament; within they stand for letters.
  const core = lower.replace(/^[^\p{L}@$]+|[^\p{L}]+$/gu, '')
  const read = [...core].map((sign) => likeLetters[sign] ?? sign).join('')
  const letters = [lower, read].map((word) => word.replace(/\P{L}/gu, ''))
  return letters.some((word) => word !== '' && isMadeOfCommonWords(word))
}

/** Linear in the length, where a regular expression over overlapping words would be exponential. */
function isMadeOfCommonWords(letters: string): boolean {
  const ends = new Set([0])
  for (let at = 0; at < letters.length; at++) {
    if (!ends.has(at)) continue
    for (const word of commonWords) if (letters.startsWith(word, at)) ends.add(at + word.length)
  }
  return ends.has(letters.length)
}
