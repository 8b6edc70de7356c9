/**
 * The child that does what the guide's administrator does in lunacm (items 8 to 13): `par init`, `role init`,
 * `role changepw`. One message in, one out; the PINs come over IPC and are in no argument, environment or file.
 */
import { randomBytes } from 'node:crypto'
import pkcs11 from 'pkcs11js'

export interface InitialiseOrder {
  readonly module: string
  readonly label: string
  readonly pin: string
  readonly soPin: string
  /** Leave the PIN as the Partition SO set it, to be changed by its owner. */
  readonly initialPin: boolean
}

/** null: done. */
export type InitialiseAnswer = { readonly problem: string | null }

function initialise(order: InitialiseOrder): void {
  const module = new pkcs11.PKCS11()
  module.load(order.module)
  module.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK })
  try {
    const slot = module.C_GetSlotList(true)[0]
    if (slot === undefined) throw new Error('the library shows no slot')
    module.C_InitToken(slot, order.soPin, order.label.padEnd(32, ' '))

    const session = module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
    const first = order.initialPin ? order.pin : randomBytes(16).toString('hex')
    module.C_Login(session, pkcs11.CKU_SO, order.soPin)
    module.C_InitPIN(session, first)
    module.C_Logout(session)
    if (!order.initialPin) {
      module.C_Login(session, pkcs11.CKU_USER, first)
      module.C_SetPIN(session, first, order.pin)
      module.C_Logout(session)
    }
    module.C_CloseSession(session)
  } finally {
    module.C_Finalize()
  }
}

process.once('disconnect', () => process.exit(1))
process.once('message', (order: InitialiseOrder) => {
  let problem: string | null = null
  try {
    initialise(order)
  } catch (error) {
    problem = error instanceof Error ? error.message : 'unknown'
  }
  const answer: InitialiseAnswer = { problem }
  process.send?.(answer, () => process.exit(problem === null ? 0 : 1))
})
