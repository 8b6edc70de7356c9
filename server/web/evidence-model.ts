/** The evidence of the last proof of a key store as a page shows it: whole, and in the words of the guide. */
import type { KeyStoreEvidence } from '../checks/key-store/evidence.ts'
import type { EvidenceModel } from './view-model.ts'

export function evidenceModel(evidence: KeyStoreEvidence): EvidenceModel {
  const { at, module, library, ranAs, token, loggedIn, ivMode, roundTrips, times, stopped } = evidence
  const rows: readonly (readonly [string, string | null | undefined])[] = [
    ['Proved at', at],
    ['Library', module.path],
    ['SHA-256', module.sha256],
    ['Says it is', library && `${library.description} ${library.version}, Cryptoki ${library.cryptoki}`],
    ['Loaded as', ranAs && `${ranAs.user} (${ranAs.uid})`],
    ['Token', token && `slot ${token.slot}, ${token.label}, serial ${token.serial}`],
    ['Model', token && `${token.manufacturer} ${token.model}, firmware ${token.firmware}`],
    ['Storage', token && storage(token.storage)],
    ['Sessions', token && (token.maxSessions === null ? 'no limit told' : `at most ${token.maxSessions}`)],
    ['Login', loggedIn ? 'accepted' : 'none accepted'],
    ['AES-GCM', ivMode && ivModes[ivMode]],
    ['Round trips', roundTrips.map(({ name, ok, ckr }) => `${name} ${ok ? 'ok' : (ckr ?? 'failed')}`).join(', ')],
    ['Took', `${Math.round(times.reduce((sum, { ms }) => sum + ms, 0))} ms`],
    ['Ended early', stopped]
  ]
  return {
    facts: rows.flatMap(([label, value]) => (value ? [{ label, value }] : [])),
    used: evidence.mechanisms.flatMap(({ name, number, use }) =>
      use === null ? [] : [{ name, number: hex(number), sizes: sizesOf(use), for: usesOf(use.flags) }]
    ),
    others: evidence.mechanisms.filter(({ use }) => use === null).map(({ name }) => name)
  }
}

const ivModes = { 'caller-iv': "takes the caller's IV", 'token-iv': 'makes its own IV: FIPS mode' } as const

function storage({ total, free }: NonNullable<KeyStoreEvidence['token']>['storage']): string {
  return total === null || free === null ? 'not told' : `${total} bytes, ${free} free`
}

const hex = (number: number) => `0x${number.toString(16).toUpperCase()}`

/** What is above stands for "no limit". */
const mostBits = 65_536

function sizesOf({ minKeySize, maxKeySize }: { readonly minKeySize: number; readonly maxKeySize: number }): string {
  if (maxKeySize === 0) return ''
  if (maxKeySize > mostBits) return `from ${minKeySize}`
  return minKeySize === maxKeySize ? `${maxKeySize}` : `${minKeySize}–${maxKeySize}`
}

/** CKF_ bits of CK_MECHANISM_INFO (PKCS#11 v2.40 section 3.5). */
const uses = [
  [0x100, 'encrypt'],
  [0x200, 'decrypt'],
  [0x800, 'sign'],
  [0x2000, 'verify'],
  [0x8000, 'generate'],
  [0x10000, 'generate pairs'],
  [0x20000, 'wrap'],
  [0x40000, 'unwrap'],
  [0x80000, 'derive']
] as const

function usesOf(flags: number): string {
  return uses
    .filter(([bit]) => (flags & bit) !== 0)
    .map(([, word]) => word)
    .join(', ')
}
