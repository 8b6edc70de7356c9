/** The ladder of a key store, in order. */
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { isPast, type ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import type { Rung } from '../ladder-judge.ts'
import { folderRungs } from './folder-rungs.ts'
import { identityRung, sameMasterKeyRung } from './identity-rungs.ts'
import { libraryRungs } from './library-rungs.ts'
import { partitionRungs } from './partition-rungs.ts'
import { loginRung, pinStateRung, roleRung } from './pin-rungs.ts'
import type { SeenKeyStore } from './seen-key-store.ts'
import { lastRungs, useRungs } from './use-rungs.ts'

/** Which steps of the probe a rung is about; those not named here cost nothing of their own. */
const stepsOf: Readonly<Record<string, readonly ProbeStep[]>> = {
  'kms.library': ['file'],
  'kms.loads': ['turn', 'load'],
  'kms.initialises': ['initialize'],
  'kms.slot-present': ['slots'],
  'kms.login': ['session', 'login'],
  'kms.mechanisms': ['mechanisms'],
  'kms.round-trips': ['aes-gcm', 'ec-p256', 'rsa-2048', 'aes-kw', 'aes-kwp', 'random', 'sensitive'],
  'kms.same-master-key': ['master-key'],
  'kms.ends': ['logout', 'finalize']
}

const fileKnown = () => true
const tokenKnown = ({ facts }: SeenKeyStore) => facts.choice !== null
/** The step stays C_Login until the session has said what the login is good for. */
const loginOver = ({ facts: { login, canCreateTokenObjects }, pinGiven }: SeenKeyStore) =>
  !pinGiven || (login !== null && (!login.ok || canCreateTokenObjects !== null))
const past = (last: ProbeStep) => (seen: SeenKeyStore) => isPast(last, seen.step)

/** From when on nothing that the probe may still see, a crash included, changes what a rung says. */
const settledWhen: Readonly<Record<string, (seen: SeenKeyStore) => boolean>> = {
  'kms.protection': fileKnown,
  'kms.folder': fileKnown,
  'kms.library': fileKnown,
  'kms.architecture': fileKnown,
  'kms.loads': past('load'),
  'kms.runs-as': ({ facts }) => facts.ranAs !== null,
  'kms.initialises': ({ facts }) => facts.library !== null,
  'kms.slot-present': tokenKnown,
  'kms.token-present': tokenKnown,
  'kms.token-initialised': tokenKnown,
  'kms.partition-label': tokenKnown,
  'kms.ha-group': tokenKnown,
  'kms.identity': tokenKnown,
  'kms.pin-state': loginOver,
  'kms.login': loginOver,
  // Any of the round trips may be the one that says who has logged in.
  'kms.role': past('sensitive'),
  'kms.mechanisms': past('mechanisms'),
  'kms.round-trips': past('sensitive'),
  'kms.same-master-key': past('master-key'),
  'kms.free-space': tokenKnown,
  'kms.ends': past('finalize')
}

function tookFor(rung: string, { facts }: SeenKeyStore): number {
  const steps = stepsOf[rung] ?? []
  return facts.times.filter(({ step }) => steps.includes(step)).reduce((sum, { ms }) => sum + ms, 0)
}

const timed = (rungs: readonly Rung<SeenKeyStore>[]): readonly Rung<SeenKeyStore>[] =>
  rungs.map((rung) => ({
    ...rung,
    took: (seen) => tookFor(rung.id, seen),
    settled: (seen) => settledWhen[rung.id]?.(seen) === true
  }))

const ladders: Readonly<Record<KeyStoreConfig['profile'], readonly Rung<SeenKeyStore>[]>> = {
  'gemalto-safenet': timed([
    ...libraryRungs,
    ...partitionRungs,
    identityRung,
    pinStateRung,
    loginRung,
    roleRung,
    ...useRungs,
    sameMasterKeyRung,
    ...lastRungs
  ]),
  nss: timed([...folderRungs, ...libraryRungs, identityRung, loginRung, ...useRungs, sameMasterKeyRung, ...lastRungs])
}

export function rungsFor({ profile }: Pick<KeyStoreConfig, 'profile'>): readonly Rung<SeenKeyStore>[] {
  return ladders[profile]
}

/** Ids of all rungs, each once. */
export const rungIds: readonly string[] = [
  ...new Set(Object.values(ladders).flatMap((rungs) => rungs.map(({ id }) => id)))
]
