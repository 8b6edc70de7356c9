/**
 * The one-shot child of probe.ts: loads the library, gathers facts, asks before it logs in, and ends. It may hang or
 * crash at any line; what it has learnt was sent before. Nothing else may import this program.
 */
import { once } from 'node:events'
import type pkcs11js from 'pkcs11js'
import type { OpenSession } from './key-operations.ts'
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
import type { FromProbeChild, ProbeRequest, ProbeStep, RoundTrip, ToProbeChild } from './probe-messages.ts'
import { runRoundTrips } from './round-trips.ts'
import type { SlotFacts } from './token-facts.ts'

// Without a parent nobody waits for facts, and the library's exit handlers may hang.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

/** CKS_RW_USER_FUNCTIONS: a user who may also create. */
const readWriteUser = 3

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
}

async function probe(request: ProbeRequest): Promise<void> {
  const library = step('load', () => loadModule(request.start.module))
  step('initialize', () => initialize(library, request.start))
  const { slots, choice, handle } = await step('slots', () => {
    tell({ kind: 'facts', facts: { library: libraryFacts(library) } })
    return findToken(library, request.start)
  })
  tell({ kind: 'facts', facts: { slots, choice } })
  if (handle !== null) {
    step('mechanisms', () => tell({ kind: 'facts', facts: { mechanisms: mechanisms(library, handle) } }))
  }
  if (request.login) {
    tell({ kind: 'may-i-log-in', choice })
    const answer = await nextMessage()
    if (answer.kind === 'no-login') {
      tell({ kind: 'facts', facts: { login: { sent: false, ok: false, failure: null, refusal: answer.refusal } } })
    } else if (answer.kind === 'login' && choice.found && handle !== null) {
      logInAndTry({ library, slot: handle, token: choice.token }, request, answer.pin)
    }
  }
  // Sent before C_Finalize, which may hang or crash too.
  step('finalize', () => attempt('C_Finalize', () => library.C_Finalize()))
}

function logInAndTry({ library, slot, token }: Chosen, request: ProbeRequest, pin: string): void {
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
  const ivMode = runRoundTrips({
    choices: request.choices,
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
  tell({ kind: 'facts', facts: { ivMode } })
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

function mechanisms(library: pkcs11js.PKCS11, slot: pkcs11js.Handle) {
  const numbers = attempt('C_GetMechanismList', () => library.C_GetMechanismList(slot))
  return numbers.map((number) => ({ number, name: mechanismName(number) }))
}

const first = await nextMessage()
if (first.kind !== 'request') process.exit(2)
try {
  await probe(first.request)
} catch (error) {
  if (!(error instanceof CallRefused)) throw error
  tell({ kind: 'facts', facts: { stopped: { step: current, why: 'refused', failure: error.failure } } })
}
tell({ kind: 'end' })
