/**
 * The one-shot child of probe.ts: loads the library, gathers facts, asks before it logs in, and ends. It may hang or
 * crash at any line; what it has learnt was sent before. Nothing else may import this program.
 */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { userInfo } from 'node:os'
import pkcs11js from 'pkcs11js'
import { callFailure } from './ckr-error.ts'
import { checkValue, type OpenSession } from './key-operations.ts'
import { keyWrapNumbers } from './key-wrap.ts'
import { mechanismName } from './mechanism-names.ts'
import {
  attempt,
  CallRefused,
  findToken,
  giveFirstPin,
  initialize,
  loadModule,
  logIn,
  openSession,
  unpadded
} from './module.ts'
import type {
  FromProbeChild,
  MasterKeyFacts,
  MechanismUse,
  ProbeRequest,
  ProbeStep,
  RanAs,
  RoundTrip,
  ToProbeChild,
  UnusableSlot
} from './probe-messages.ts'
import { runRoundTrips } from './round-trips.ts'
import type { SlotFacts } from './token-facts.ts'

// Without a parent nobody waits for facts, and the library's exit handlers may hang.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

/** CKS_RW_USER_FUNCTIONS: a user who may also create. */
const readWriteUser = 3

const tokenNotPresent = 0xe0

let current: ProbeStep = 'load'

function tell(message: FromProbeChild): void {
  process.send?.(message)
}

function step<T>(name: ProbeStep, run: () => T): T {
  current = name
  tell({ kind: 'step', step: name })
  const begun = performance.now()
  const result = run()
  const done = () => tell({ kind: 'done', time: { step: name, ms: Math.round((performance.now() - begun) * 10) / 10 } })
  if (result instanceof Promise) void result.then(done, () => undefined)
  else done()
  return result
}

async function nextMessage(): Promise<ToProbeChild> {
  const [message] = await once(process, 'message')
  return message
}

interface Chosen {
  readonly library: pkcs11js.PKCS11
  readonly slot: pkcs11js.Handle
  readonly token: SlotFacts
  readonly offered: ReadonlySet<number>
}

async function probe(request: ProbeRequest): Promise<void> {
  tell({ kind: 'facts', facts: { ranAs: ranAs() } })
  const library = step('load', () => loadModule(request.start.module))
  step('initialize', () => initialize(library, request.start))
  const { handle, choice, ...listed } = await step('slots', async () => {
    tell({ kind: 'facts', facts: { library: libraryFacts(library) } })
    const { slots, ...found } = await findToken(library, request.start)
    return { ...found, slots, unusableSlots: unusableSlots(library, slots) }
  })
  tell({ kind: 'facts', facts: { ...listed, choice } })
  const offered = new Set<number>()
  if (handle !== null) {
    step('mechanisms', () => {
      const list = mechanisms(library, handle)
      for (const { number } of list) offered.add(number)
      tell({ kind: 'facts', facts: { mechanisms: list } })
    })
  }
  if (request.login) {
    tell({ kind: 'may-i-log-in', choice })
    const answer = await nextMessage()
    if (answer.kind === 'no-login') {
      tell({ kind: 'facts', facts: { login: { sent: false, ok: false, failure: null, refusal: answer.refusal } } })
    } else if (answer.kind === 'login' && choice.found && handle !== null) {
      logInAndTry({ library, slot: handle, token: choice.token, offered }, request, answer.pin)
    }
  }
  // Sent before C_Finalize, which may hang or crash too.
  step('finalize', () => attempt('C_Finalize', () => library.C_Finalize()))
}

function logInAndTry({ library, slot, token, offered }: Chosen, request: ProbeRequest, pin: string): void {
  // The anchor stays open: closing the last session logs out.
  const anchor = step('session', () => openSession(library, slot))
  if (request.initialize) giveFirstPin(library, anchor, pin)
  const failure = step('login', () => logIn(library, anchor, pin))
  tell({ kind: 'login-answered', failure })
  tell({ kind: 'facts', facts: { login: { sent: true, ok: failure === null, failure, refusal: null } } })
  if (failure !== null) return
  const { state } = attempt('C_GetSessionInfo', () => library.C_GetSessionInfo(anchor))
  const canCreateTokenObjects = state === readWriteUser && !token.flags.writeProtected
  tell({ kind: 'facts', facts: { canCreateTokenObjects } })
  const roundTrips: RoundTrip[] = []
  let work: OpenSession | undefined
  let begun = performance.now()
  const answers = runRoundTrips({
    choices: request.choices,
    offered,
    open: () => {
      const last = work?.session
      if (last !== undefined) attempt('C_CloseSession', () => library.C_CloseSession(last))
      work = { library, session: openSession(library, slot) }
      return work
    },
    onTrip: (name) => {
      current = name
      begun = performance.now()
      tell({ kind: 'step', step: name })
    },
    onDone: (trip) => {
      tell({ kind: 'done', time: { step: trip.name, ms: Math.round((performance.now() - begun) * 10) / 10 } })
      roundTrips.push(trip)
      tell({ kind: 'facts', facts: { roundTrips: [...roundTrips] } })
    }
  })
  tell({ kind: 'facts', facts: answers })
  const wanted = request.masterKey
  if (wanted !== null) {
    const masterKey = step('master-key', () => lookAtMasterKey({ library, session: anchor }, wanted))
    tell({ kind: 'facts', facts: { masterKey } })
  }
  step('logout', () => attempt('C_Logout', () => library.C_Logout(anchor)))
}

function libraryFacts(library: pkcs11js.PKCS11) {
  const info = attempt('C_GetInfo', () => library.C_GetInfo())
  return {
    description: unpadded(info.libraryDescription),
    manufacturer: unpadded(info.manufacturerID),
    version: `${info.libraryVersion.major}.${info.libraryVersion.minor}`,
    cryptoki: `${info.cryptokiVersion.major}.${info.cryptokiVersion.minor}`
  }
}

/** Mechanisms whose limits are asked for: each costs a call, which is a round trip over the internet for DPoD. */
const asked: ReadonlySet<number> = new Set([
  ...[pkcs11js.CKM_AES_KEY_GEN, pkcs11js.CKM_AES_GCM, pkcs11js.CKM_AES_ECB, ...Object.values(keyWrapNumbers).flat()],
  ...[pkcs11js.CKM_EC_KEY_PAIR_GEN, pkcs11js.CKM_ECDSA, pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN, pkcs11js.CKM_RSA_PKCS],
  0x80000143
])

function mechanisms(library: pkcs11js.PKCS11, slot: pkcs11js.Handle) {
  const numbers = attempt('C_GetMechanismList', () => library.C_GetMechanismList(slot))
  return numbers.map((number) => {
    const use = asked.has(number) ? mechanismUse(library, slot, number) : null
    return { number, name: mechanismName(number), use }
  })
}

function mechanismUse(library: pkcs11js.PKCS11, slot: pkcs11js.Handle, number: number): MechanismUse | null {
  try {
    const { minKeySize, maxKeySize, flags } = library.C_GetMechanismInfo(slot, number)
    return { minKeySize, maxKeySize, flags }
  } catch {
    // Evidence only: what the token really does is tried.
    return null
  }
}

/** Slots that C_GetSlotList names and that hold nothing to choose: without a token, or with one that does not answer. */
function unusableSlots(library: pkcs11js.PKCS11, usable: readonly SlotFacts[]): UnusableSlot[] {
  const numbers = new Set(usable.map(({ slot }) => slot))
  const others = attempt('C_GetSlotList', () => library.C_GetSlotList(false))
    .map((handle) => ({ handle, slot: Number(handle.readBigUInt64LE()) }))
    .filter(({ slot }) => !numbers.has(slot))
  return others.map(({ handle, slot }) => {
    try {
      library.C_GetTokenInfo(handle)
      return { slot, failure: null }
    } catch (error) {
      const failure = callFailure('C_GetTokenInfo', error)
      return { slot, failure: failure.code === tokenNotPresent ? null : failure }
    }
  })
}

/** Found by its id among the keys of the token; what it is for is not tried here. */
function lookAtMasterKey(open: OpenSession, id: string): MasterKeyFacts {
  const { library, session } = open
  try {
    attempt('C_FindObjectsInit', () =>
      library.C_FindObjectsInit(session, [
        { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
        { type: pkcs11js.CKA_ID, value: Buffer.from(id, 'hex') }
      ])
    )
    const [key] = attempt('C_FindObjects', () => library.C_FindObjects(session, 1))
    attempt('C_FindObjectsFinal', () => library.C_FindObjectsFinal(session))
    if (key === undefined) return { found: false, checkValue: null, failure: null }
    return { found: true, checkValue: checkValue(open, key), failure: null }
  } catch (error) {
    if (!(error instanceof CallRefused)) throw error
    return { found: false, checkValue: null, failure: error.failure }
  }
}

function ranAs(): RanAs {
  const uid = process.getuid?.() ?? -1
  const gid = process.getgid?.() ?? -1
  return { uid, gid, groups: process.getgroups?.() ?? [], user: nameOf(uid) }
}

function nameOf(uid: number): string {
  try {
    return userInfo().username
  } catch {
    // A user that has no line in /etc/passwd.
    return String(uid)
  }
}

const first = await nextMessage()
if (first.kind !== 'request') process.exit(2)
try {
  await probe(first.request)
} catch (error) {
  if (!(error instanceof CallRefused)) throw error
  tell({ kind: 'facts', facts: { stopped: { step: current, why: 'refused', failure: error.failure } } })
}
// Now, because this process is ended by a signal, and Node writes it at the exit.
flushCompileCache()
tell({ kind: 'end' })
