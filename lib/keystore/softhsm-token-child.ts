/** The child of softhsm-token.ts: one order in, one answer out. Nothing else may import this program. */
import pkcs11 from 'pkcs11js'
import type { SoftHsmAnswer, SoftHsmOrder } from './softhsm-token.ts'

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const blanks = /[\0 ]+$/

function initialise({ module, slot, label, soPin, pin }: SoftHsmOrder): SoftHsmAnswer {
  const library = new pkcs11.PKCS11()
  library.load(module)
  library.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK })
  if (!library.C_GetInfo().manufacturerID.startsWith('SoftHSM')) return { refused: 'not-softhsm' }
  const slots = library.C_GetSlotList(true)
  const blank = (one: Buffer) => (library.C_GetTokenInfo(one).flags & pkcs11.CKF_TOKEN_INITIALIZED) === 0
  const chosen = slot === null ? slots.find(blank) : slots.find((one) => one.readUInt32LE() === slot)
  if (chosen === undefined) return { refused: 'no-such-slot' }
  if (!library.C_GetTokenInfo(chosen).model.startsWith('SoftHSM')) return { refused: 'not-softhsm' }
  if (!blank(chosen)) return { refused: 'initialized-already' }

  // The binding hands the label on as it is: shorter than 32, SoftHSM would read past its end.
  library.C_InitToken(chosen, soPin, label.padEnd(32, ' '))
  const session = library.C_OpenSession(chosen, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
  library.C_Login(session, pkcs11.CKU_SO, soPin)
  library.C_InitPIN(session, pin)
  library.C_Logout(session)
  library.C_CloseSession(session)
  const serial = library.C_GetTokenInfo(chosen).serialNumber.replace(blanks, '')
  library.C_Finalize()

  // Only now it has the number that it keeps: the low 31 bits of its serial (pkcs11.md section 1).
  library.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK })
  const made = library
    .C_GetSlotList(true)
    .find((one) => library.C_GetTokenInfo(one).serialNumber.replace(blanks, '') === serial)
  library.C_Finalize()
  return made === undefined ? { failed: 'it is not listed' } : { token: { slot: made.readUInt32LE(), label, serial } }
}

process.once('message', (order: SoftHsmOrder) => {
  let answer: SoftHsmAnswer
  try {
    answer = initialise(order)
  } catch (error) {
    // Names and numbers of return codes; the binding puts no arguments into its messages.
    answer = { failed: error instanceof Error ? error.message.slice(0, 200) : 'unknown' }
  }
  process.send?.(answer)
})
