/**
 * The key store that this install has already: same token, same library, same master key (security.md A17). Identity, not
 * position: a token may be swapped for one of the same name, a partition be initialised again under its old serial.
 */
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import type { Rung } from '../ladder-judge.ts'
import { storeName } from './key-store-record.ts'
import { about, failureCure, failureWords, meant, type SeenKeyStore, stoppedHere, wanted } from './seen-key-store.ts'

const restore = 'Connect the HSM that it was made with, or restore the backup of its partition.'

/** Before any login: no password is sent to a token that is not ours. */
export const identityRung: Rung<SeenKeyStore> = {
  id: 'kms.identity',
  title: 'Same key store',
  outcomes: [
    {
      verdict: 'info',
      when: ({ record }) => record === null,
      say: 'No keys are in use yet: this key store becomes the one of this install, known by its serial and its library.'
    },
    {
      verdict: 'fail',
      when: (seen) => isElsewhere(seen),
      say: ({ record }) =>
        `The keys of this install are in ${record === null ? '' : storeName(record)}; they cannot be moved from here.`,
      fix: ({ record }) => `Choose ${record === null ? 'it' : storeName(record)} again.`,
      field: ({ config }) => (config.profile === 'nss' ? 'nssFolder' : 'partition'),
      guide: guidePlaces.kms
    },
    {
      verdict: 'fail',
      when: (seen) => isSwapped(seen),
      say: (seen) =>
        `The token was swapped: "${wanted(seen).partition}" in slot ${meant(seen)?.slot ?? wanted(seen).slot} has serial ${meant(seen)?.serial ?? 'unknown'}, and the keys of this install are in the one with serial ${seen.record?.serial}. No password was sent to it.`,
      fix: restore,
      field: 'partition',
      guide: guidePlaces.showInfo
    },
    {
      verdict: 'warn',
      when: (seen) => moduleChanged(seen),
      say: ({ facts: { file }, record }) =>
        `The library is not the one that was proved: ${file.path} has SHA-256 ${short(file.sha256)}, before it was ${record?.module} with ${short(record?.moduleSha256 ?? null)}.`,
      fix: 'If the client was updated: Test, then Next confirms the new library; the KMS does not start with it before. If not, somebody has replaced it: restore the client.',
      field: 'library',
      guide: guidePlaces.client
    },
    {
      verdict: 'pass',
      say: ({ record }) =>
        `${record === null ? '' : storeName(record)}: the key store of this install, and its library.`
    }
  ]
}

/** After the login: the key that everything is encrypted under is the one that it was. */
export const sameMasterKeyRung: Rung<SeenKeyStore> = {
  id: 'kms.same-master-key',
  title: 'Same master key',
  outcomes: [
    {
      verdict: 'skip',
      when: ({ record }) => record?.masterKey == null,
      say: 'This install has no master key yet.'
    },
    stoppedHere(['master-key']),
    { verdict: 'skip', when: ({ facts }) => facts.masterKey === null, say: 'Not reached.' },
    {
      verdict: 'fail',
      when: ({ facts }) => facts.masterKey?.failure != null,
      say: (seen) => {
        const failure = seen.facts.masterKey?.failure
        return `The master key cannot be asked: ${failure ? failureWords(seen, failure) : ''}`
      },
      fix: (seen) => failureCure(seen, seen.facts.masterKey?.failure ?? null),
      ckr: ({ facts }) => about(facts.masterKey?.failure)
    },
    {
      verdict: 'fail',
      when: ({ facts }) => facts.masterKey?.found === false,
      say: (seen) =>
        `The master key of this install (id ${seen.record?.masterKey?.id}) is not in ${nameOf(seen)}: it was initialised again, or is another one.`,
      fix: `${restore} A new master key could open nothing.`,
      guide: guidePlaces.initialise
    },
    {
      verdict: 'fail',
      when: ({ facts, record }) => facts.masterKey?.checkValue !== record?.masterKey?.checkValue,
      say: (seen) =>
        `${nameOf(seen)} holds a different master key under the same id: its check value is ${seen.facts.masterKey?.checkValue}, that of this install is ${seen.record?.masterKey?.checkValue}.`,
      fix: `${restore} A different master key can open nothing.`,
      guide: guidePlaces.initialise
    },
    {
      verdict: 'pass',
      say: ({ record }) => `The master key of this install, check value ${record?.masterKey?.checkValue}.`
    }
  ]
}

/** Another key store was chosen: another kind, folder or name, or another client that does not show our token. */
function isElsewhere(seen: SeenKeyStore): boolean {
  const { config, record } = seen
  if (record === null) return false
  if (config.profile !== record.profile) return true
  if (config.profile === 'nss') return config.folder !== record.folder
  if (config.partition.trimEnd() !== record.label) return true
  return isSwapped(seen) && (config.confPath ?? null) !== record.confPath
}

/** It has the name of ours and is another one. */
function isSwapped(seen: SeenKeyStore): boolean {
  const { config, record } = seen
  return record !== null && config.profile !== 'nss' && meant(seen)?.serial !== record.serial
}

function moduleChanged({ facts, record }: SeenKeyStore): boolean {
  return record?.moduleSha256 != null && facts.file.sha256 !== record.moduleSha256
}

function nameOf(seen: SeenKeyStore): string {
  const token = meant(seen)
  return token === undefined ? 'the key store' : `${token.label} (serial ${token.serial})`
}

const short = (sha256: string | null): string => (sha256 === null ? 'unknown' : `${sha256.slice(0, 16)}…`)
