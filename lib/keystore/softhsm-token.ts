/**
 * Makes a token of SoftHSM ready for KeyScaler. SoftHSM only, told by what library and token say of themselves: whatever
 * is in an HSM, and its cloning domain, is for its Partition SO to decide in lunacm.
 */
import { AppError } from '../errors/app-error.ts'
import { startModuleChild } from './module-child.ts'

export interface SoftHsmOrder {
  /** Absolute path of libsofthsm2.so. */
  readonly module: string
  /** As listed; null: the blank one. */
  readonly slot: number | null
  readonly label: string
  readonly soPin: string
  readonly pin: string
}

export interface SoftHsmToken {
  /** SoftHSM gives a token a new slot number when it is initialised. */
  readonly slot: number
  readonly label: string
  readonly serial: string
}

/** `refused`: by us, before anything was changed; `failed`: a call was refused. */
export type SoftHsmAnswer =
  | { readonly token: SoftHsmToken }
  | { readonly refused: 'not-softhsm' | 'no-such-slot' | 'initialized-already' }
  | { readonly failed: string }

const deadlineMs = 20_000

const refusals = {
  'not-softhsm': [
    'This is no SoftHSM token: it is not initialised here.',
    'Type what `keyscaler hsm init-partition` prints in lunacm.'
  ],
  'no-such-slot': ['There is no such slot.', 'Leave --slot out to take the blank token.'],
  'initialized-already': [
    'The token is initialised already, and may hold keys.',
    'Leave --slot out to take the blank token.'
  ]
} as const

/**
 * In a child, as everything that loads a PKCS#11 library. The passwords go over IPC.
 * @param environment of the child: SOFTHSM2_CONF where SoftHSM is not configured in its usual place
 * @throws AppError conflict when it may not be initialised, check-failed when SoftHSM refuses or hangs
 */
export async function initialiseSoftHsmToken(
  order: SoftHsmOrder,
  environment: Readonly<Record<string, string>>
): Promise<SoftHsmToken> {
  const child = startModuleChild(new URL('./softhsm-token-child.ts', import.meta.url), environment)
  const late = setTimeout(() => child.kill(), deadlineMs)
  const answered = new Promise<SoftHsmAnswer>((resolve) => {
    child.process.once('message', resolve)
    void child.gone.then(({ signal }) => resolve({ failed: `the library ended the process (${signal ?? 'exit'})` }))
  })
  child.process.send(order, () => undefined)
  const answer = await answered
  clearTimeout(late)
  child.kill()
  await child.gone
  if ('token' in answer) return answer.token
  if ('failed' in answer) {
    throw new AppError('check-failed', `The token could not be initialised: ${answer.failed}.`, {
      cure: 'Check the library, and the folder that softhsm2.conf names.'
    })
  }
  const [say, cure] = refusals[answer.refused]
  throw new AppError('conflict', say, { cure })
}
