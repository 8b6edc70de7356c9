/**
 * The one-shot child of change-pin.ts: one login with the old password, C_SetPIN, end. It asks before each of the two,
 * and answers before C_Finalize, which may hang. Nothing else may import this program.
 */
import { once } from 'node:events'
import type pkcs11js from 'pkcs11js'
import type { ChangeStep, FromChangeChild, ToChangeChild } from './change-pin-messages.ts'
import type { CallFailure } from './ckr-error.ts'
import { attempt, CallRefused, findToken, initialize, loadModule, logIn, openSession } from './module.ts'

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

/** The password is right, and good for nothing but to be changed. */
const pinExpired = 0xa3

function tell(message: FromChangeChild): void {
  process.send?.(message)
}

function enter(step: ChangeStep): void {
  tell({ kind: 'step', step })
}

async function nextMessage<Kind extends ToChangeChild['kind']>(kind: Kind) {
  const [message] = (await once(process, 'message')) as [ToChangeChild]
  if (message.kind !== kind) throw new Error(`${kind} was expected, not ${message.kind}`)
  return message as Extract<ToChangeChild, { kind: Kind }>
}

/** In a read-write session: public after CKR_PIN_EXPIRED, the user's otherwise; C_SetPIN works in both (PKCS#11 2.40, 5.6). */
function setPin(library: pkcs11js.PKCS11, session: pkcs11js.Handle, from: string, to: string): CallFailure | null {
  try {
    attempt('C_SetPIN', () => library.C_SetPIN(session, from, to))
    return null
  } catch (error) {
    if (error instanceof CallRefused) return error.failure
    throw error
  }
}

async function change(): Promise<void> {
  const { start } = await nextMessage('request')
  enter('load')
  const library = loadModule(start.module)
  enter('initialize')
  initialize(library, start)
  enter('slots')
  const { choice, handle } = await findToken(library, start)
  tell({ kind: 'may-i-log-in', choice })
  const { from } = await nextMessage('login')
  if (handle === null) throw new Error('a login was permitted without a token')
  enter('session')
  const session = openSession(library, handle)
  enter('login')
  const refused = logIn(library, session, from)
  tell({ kind: 'login-answered', failure: refused })
  if (refused === null || refused.code === pinExpired) {
    const { to } = await nextMessage('change')
    enter('change')
    tell({ kind: 'changed', failure: setPin(library, session, from, to) })
  }
  enter('finalize')
  attempt('C_Finalize', () => library.C_Finalize())
}

try {
  await change()
} catch (error) {
  if (!(error instanceof CallRefused)) throw error
  tell({ kind: 'refused', failure: error.failure })
}
