/**
 * Every return code of PKCS#11 v2.40 and the vendor codes of a Luna client (base 0x80000000), by number. pkcs11js names every
 * code that it does not know CKR_VENDOR_DEFINED, so the number is the truth and the name is looked up here.
 *
 * What a code means for us:
 * - `request`: this call was refused; the session is replaced, the token is well
 * - `pin`: about the password; stop, never retry by itself
 * - `session`: handles or the login are gone; the agent is restarted
 * - `device`: token, network or library trouble; the agent is restarted with back-off
 * - `capacity`: no room for another object or session
 * - `data`: what was sent does not decrypt or verify
 */
import { type GuidePlace, guidePlaces } from './guide-places.ts'

type CkrClass = 'request' | 'pin' | 'session' | 'device' | 'capacity' | 'data'

export interface Ckr {
  readonly code: number
  readonly name: string
  readonly class: CkrClass
  /** Plain words for an administrator. */
  readonly say: string
  /** The next thing to do. */
  readonly cure: string
  /** Where the administrator's guide treats it; null where it does not. */
  readonly guide: GuidePlace | null
}

const internal = 'This is a defect of KeyScaler or of the library: keep the report and contact support.'
const reach = 'Check network, appliance and client: run `vtl verify` on this host.'
const again = 'Try again; if it persists, restart the HSM client and run `vtl verify`.'
const free = 'Delete objects that are not needed or enlarge the partition.'
const sessions = 'Close other applications that use this partition, or raise its session limit.'
const mechanism =
  'Compare the partition policies and the firmware with the guide; the mechanism list shows what is offered.'
const changePin =
  'In lunacm: `role login -name Crypto Officer`, then `role changepw -name Crypto Officer`; then enter the new password.'
const locked =
  'The Partition SO can run `role resetpw -name Crypto Officer` only if HSM policy 15 was on before (default off); otherwise initialise the partition again and restore the backup.'
const initOfficer =
  'In lunacm, as Partition SO: `role init -name Crypto Officer`; then `role login -name Crypto Officer` and `role changepw -name Crypto Officer`.'

type Row = readonly [code: number, name: string, kind: CkrClass, say: string, cure: string]

const rows: readonly Row[] = [
  [0x000, 'CKR_OK', 'request', 'The call succeeded.', 'Nothing to do.'],
  [0x001, 'CKR_CANCEL', 'request', 'The call was cancelled.', again],
  [0x002, 'CKR_HOST_MEMORY', 'device', 'The library ran out of memory on this host.', 'Free memory on this host.'],
  [0x003, 'CKR_SLOT_ID_INVALID', 'request', 'The slot does not exist.', 'Choose one of the slots in the list.'],
  [0x005, 'CKR_GENERAL_ERROR', 'device', 'The library reports an unspecified error.', again],
  [0x006, 'CKR_FUNCTION_FAILED', 'device', 'The token could not carry out the call.', again],
  [0x007, 'CKR_ARGUMENTS_BAD', 'request', 'The library refused an argument.', internal],
  [0x008, 'CKR_NO_EVENT', 'request', 'No slot event is waiting.', internal],
  [0x009, 'CKR_NEED_TO_CREATE_THREADS', 'request', 'The library needs threads of its own.', internal],
  [0x00a, 'CKR_CANT_LOCK', 'request', 'The library cannot use the locks of the system.', 'Use a newer client library.'],
  [0x010, 'CKR_ATTRIBUTE_READ_ONLY', 'request', 'An attribute cannot be changed.', internal],
  [0x011, 'CKR_ATTRIBUTE_SENSITIVE', 'request', 'The attribute is sensitive and stays in the token.', 'Nothing to do.'],
  [0x012, 'CKR_ATTRIBUTE_TYPE_INVALID', 'request', 'The token does not know an attribute.', mechanism],
  [0x013, 'CKR_ATTRIBUTE_VALUE_INVALID', 'request', 'The token refuses the value of an attribute.', mechanism],
  [0x01b, 'CKR_ACTION_PROHIBITED', 'request', 'The token forbids this action.', mechanism],
  [0x020, 'CKR_DATA_INVALID', 'data', 'The data is not valid for this mechanism.', internal],
  [0x021, 'CKR_DATA_LEN_RANGE', 'data', 'The data has a length that the mechanism does not take.', internal],
  [0x030, 'CKR_DEVICE_ERROR', 'device', 'The token or the connection to it failed.', reach],
  [0x031, 'CKR_DEVICE_MEMORY', 'capacity', 'The partition is full.', free],
  [0x032, 'CKR_DEVICE_REMOVED', 'device', 'The token was removed.', reach],
  [
    0x040,
    'CKR_ENCRYPTED_DATA_INVALID',
    'data',
    'The encrypted data, its tag or its key is wrong.',
    'Restore the data from a backup.'
  ],
  [
    0x041,
    'CKR_ENCRYPTED_DATA_LEN_RANGE',
    'data',
    'The encrypted data has an impossible length.',
    'Restore the data from a backup.'
  ],
  [0x050, 'CKR_FUNCTION_CANCELED', 'request', 'The call was cancelled.', again],
  [0x051, 'CKR_FUNCTION_NOT_PARALLEL', 'request', 'The call does not run in parallel.', internal],
  [
    0x054,
    'CKR_FUNCTION_NOT_SUPPORTED',
    'request',
    'The library does not have this function.',
    'Use a newer client library.'
  ],
  [0x060, 'CKR_KEY_HANDLE_INVALID', 'session', 'The key handle is no longer valid.', again],
  [0x062, 'CKR_KEY_SIZE_RANGE', 'request', 'The token does not take this key size.', mechanism],
  [0x063, 'CKR_KEY_TYPE_INCONSISTENT', 'request', 'The key does not fit the mechanism.', internal],
  [0x064, 'CKR_KEY_NOT_NEEDED', 'request', 'The operation takes no key.', internal],
  [0x065, 'CKR_KEY_CHANGED', 'request', 'The key has changed during the operation.', again],
  [0x066, 'CKR_KEY_NEEDED', 'request', 'The operation needs a key.', internal],
  [0x067, 'CKR_KEY_INDIGESTIBLE', 'request', 'The key cannot be digested.', internal],
  [
    0x068,
    'CKR_KEY_FUNCTION_NOT_PERMITTED',
    'request',
    'The key may not be used for this.',
    'Use the key that KeyScaler created for this purpose.'
  ],
  [
    0x069,
    'CKR_KEY_NOT_WRAPPABLE',
    'request',
    'The key may not be wrapped.',
    'Nothing to do: the key is meant to stay.'
  ],
  [
    0x06a,
    'CKR_KEY_UNEXTRACTABLE',
    'request',
    'The key may not leave the token.',
    'Nothing to do: the key is meant to stay.'
  ],
  [0x070, 'CKR_MECHANISM_INVALID', 'request', 'The token does not offer this mechanism.', mechanism],
  [
    0x071,
    'CKR_MECHANISM_PARAM_INVALID',
    'request',
    'The token refuses the parameters (in FIPS mode a Luna partition makes the IV itself).',
    mechanism
  ],
  [0x082, 'CKR_OBJECT_HANDLE_INVALID', 'session', 'The object handle is no longer valid.', again],
  [0x090, 'CKR_OPERATION_ACTIVE', 'request', 'The session is busy with another operation.', again],
  [0x091, 'CKR_OPERATION_NOT_INITIALIZED', 'request', 'The operation was not begun.', again],
  [
    0x0a0,
    'CKR_PIN_INCORRECT',
    'pin',
    'The password is not correct.',
    'Enter the current Crypto Officer password. Wrong entries lock the partition after at most 10.'
  ],
  [
    0x0a1,
    'CKR_PIN_INVALID',
    'pin',
    'The password has characters that the token refuses.',
    'Enter the current Crypto Officer password.'
  ],
  [
    0x0a2,
    'CKR_PIN_LEN_RANGE',
    'pin',
    'The password is too short or too long.',
    'Enter the current Crypto Officer password.'
  ],
  [0x0a3, 'CKR_PIN_EXPIRED', 'pin', 'The Crypto Officer password has expired.', changePin],
  [0x0a4, 'CKR_PIN_LOCKED', 'pin', 'The Crypto Officer is locked.', locked],
  [0x0b0, 'CKR_SESSION_CLOSED', 'session', 'The session was closed.', again],
  [0x0b1, 'CKR_SESSION_COUNT', 'capacity', 'The token has no session left.', sessions],
  [0x0b3, 'CKR_SESSION_HANDLE_INVALID', 'session', 'The session is no longer valid.', again],
  [0x0b4, 'CKR_SESSION_PARALLEL_NOT_SUPPORTED', 'request', 'The token takes no parallel sessions.', internal],
  [0x0b5, 'CKR_SESSION_READ_ONLY', 'request', 'The session is read-only.', internal],
  [0x0b6, 'CKR_SESSION_EXISTS', 'request', 'Another session is open.', sessions],
  [0x0b7, 'CKR_SESSION_READ_ONLY_EXISTS', 'request', 'A read-only session is open.', sessions],
  [
    0x0b8,
    'CKR_SESSION_READ_WRITE_SO_EXISTS',
    'request',
    'The security officer is logged in.',
    'Log the Partition SO out in lunacm (`role logout`).'
  ],
  [0x0c0, 'CKR_SIGNATURE_INVALID', 'data', 'The signature is wrong.', internal],
  [0x0c1, 'CKR_SIGNATURE_LEN_RANGE', 'data', 'The signature has an impossible length.', internal],
  [0x0d0, 'CKR_TEMPLATE_INCOMPLETE', 'request', 'The token asks for another attribute.', mechanism],
  [
    0x0d1,
    'CKR_TEMPLATE_INCONSISTENT',
    'request',
    'The partition does not allow a key with these attributes.',
    mechanism
  ],
  [0x0e0, 'CKR_TOKEN_NOT_PRESENT', 'device', 'The HSM cannot be reached.', reach],
  [0x0e1, 'CKR_TOKEN_NOT_RECOGNIZED', 'device', 'The HSM answers, but not as a token.', reach],
  [
    0x0e2,
    'CKR_TOKEN_WRITE_PROTECTED',
    'request',
    'The token is write-protected.',
    'Use the Crypto Officer of a writable partition.'
  ],
  [0x0f0, 'CKR_UNWRAPPING_KEY_HANDLE_INVALID', 'session', 'The unwrapping key handle is no longer valid.', again],
  [0x0f1, 'CKR_UNWRAPPING_KEY_SIZE_RANGE', 'request', 'The unwrapping key has a wrong size.', internal],
  [0x0f2, 'CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT', 'request', 'The unwrapping key has a wrong type.', internal],
  [0x100, 'CKR_USER_ALREADY_LOGGED_IN', 'request', 'This process has already logged in.', internal],
  [0x101, 'CKR_USER_NOT_LOGGED_IN', 'session', 'The login has ended.', again],
  [0x102, 'CKR_USER_PIN_NOT_INITIALIZED', 'pin', 'The Crypto Officer is not initialized.', initOfficer],
  [0x103, 'CKR_USER_TYPE_INVALID', 'request', 'The token does not know this role.', internal],
  [
    0x104,
    'CKR_USER_ANOTHER_ALREADY_LOGGED_IN',
    'request',
    'Another role is logged in.',
    'Log the other role out in lunacm (`role logout`).'
  ],
  [
    0x105,
    'CKR_USER_TOO_MANY_TYPES',
    'request',
    'Too many roles are logged in.',
    'Log the other roles out in lunacm (`role logout`).'
  ],
  [0x110, 'CKR_WRAPPED_KEY_INVALID', 'data', 'The wrapped key is wrong.', 'Restore the data from a backup.'],
  [
    0x112,
    'CKR_WRAPPED_KEY_LEN_RANGE',
    'data',
    'The wrapped key has an impossible length.',
    'Restore the data from a backup.'
  ],
  [0x113, 'CKR_WRAPPING_KEY_HANDLE_INVALID', 'session', 'The wrapping key handle is no longer valid.', again],
  [0x114, 'CKR_WRAPPING_KEY_SIZE_RANGE', 'request', 'The wrapping key has a wrong size.', internal],
  [0x115, 'CKR_WRAPPING_KEY_TYPE_INCONSISTENT', 'request', 'The wrapping key has a wrong type.', internal],
  [0x120, 'CKR_RANDOM_SEED_NOT_SUPPORTED', 'request', 'The token takes no seed.', internal],
  [0x121, 'CKR_RANDOM_NO_RNG', 'request', 'The token has no random generator.', mechanism],
  [0x130, 'CKR_DOMAIN_PARAMS_INVALID', 'request', 'The token does not offer this curve.', mechanism],
  [0x140, 'CKR_CURVE_NOT_SUPPORTED', 'request', 'The token does not offer this curve.', mechanism],
  [0x150, 'CKR_BUFFER_TOO_SMALL', 'request', 'The room for the answer was too small.', internal],
  [0x160, 'CKR_SAVED_STATE_INVALID', 'request', 'The saved state is wrong.', internal],
  [0x170, 'CKR_INFORMATION_SENSITIVE', 'request', 'The information stays in the token.', 'Nothing to do.'],
  [0x180, 'CKR_STATE_UNSAVEABLE', 'request', 'The state cannot be saved.', internal],
  [0x190, 'CKR_CRYPTOKI_NOT_INITIALIZED', 'session', 'The library is not initialised.', again],
  [0x191, 'CKR_CRYPTOKI_ALREADY_INITIALIZED', 'request', 'The library is initialised already.', internal],
  [0x1a0, 'CKR_MUTEX_BAD', 'device', 'The library reports a broken lock.', again],
  [0x1a1, 'CKR_MUTEX_NOT_LOCKED', 'device', 'The library reports a broken lock.', again],
  [0x1b0, 'CKR_NEW_PIN_MODE', 'pin', 'The token asks for a new password.', changePin],
  [
    0x1b1,
    'CKR_NEXT_OTP',
    'pin',
    'The token asks for a one-time password.',
    'Use a partition with password authentication.'
  ],
  [0x1b5, 'CKR_EXCEEDED_MAX_ITERATIONS', 'request', 'The token gave up an iteration.', again],
  [
    0x1b6,
    'CKR_FIPS_SELF_TEST_FAILED',
    'device',
    'The FIPS self-test of the token failed.',
    'Restart the HSM and contact its vendor.'
  ],
  [
    0x1b7,
    'CKR_LIBRARY_LOAD_FAILED',
    'device',
    'The library could not load another library.',
    'Reinstall the HSM client.'
  ],
  [0x1b8, 'CKR_PIN_TOO_WEAK', 'pin', 'The token finds the password too weak.', 'Choose a longer password.'],
  [0x1b9, 'CKR_PUBLIC_KEY_INVALID', 'data', 'The public key is not valid.', internal],
  [0x200, 'CKR_FUNCTION_REJECTED', 'request', 'The token rejected the call.', mechanism],
  // Luna client (cryptoki_v2.h), listed in the order of the vendor's header.
  [0x80000004, 'CKR_RC_ERROR', 'device', 'The HSM client reports an internal error.', reach],
  [0x80000007, 'CKR_USER_LOCKED_OUT', 'pin', 'The Crypto Officer is locked.', locked],
  [
    0x80000009,
    'CKR_CLONING_PARAMETER_MISSING',
    'request',
    'The partition misses a cloning parameter.',
    'Compare the partition policies with the guide.'
  ],
  [
    0x8000001a,
    'CKR_USER_NOT_AUTHORIZED',
    'pin',
    'The role may not do this: it looks like the Crypto User.',
    "Enter the Crypto Officer's password."
  ],
  [
    0x8000001c,
    'CKR_SO_LOGIN_FAILURE_THRESHOLD',
    'pin',
    'The Partition SO has failed too often.',
    'Contact the HSM administrator before any further login.'
  ],
  [0x8000001f, 'CKR_UNABLE_TO_CONNECT', 'device', 'The HSM cannot be reached.', reach],
  [
    0x80000020,
    'CKR_PARTITION_DISABLED',
    'device',
    'The partition is disabled.',
    'Ask the HSM administrator to enable it.'
  ],
  [0x80000024, 'CKR_TIMEOUT', 'device', 'The HSM did not answer in time.', reach],
  [0x8000002a, 'CKR_HSM_STORAGE_FULL', 'capacity', 'The HSM is full.', free],
  [0x8000002b, 'CKR_DEVICE_TIMEOUT', 'device', 'The HSM did not answer in time.', reach],
  [0x8000002c, 'CKR_CONTAINER_OBJECT_STORAGE_FULL', 'capacity', 'The partition is full.', free],
  [0x80000030, 'CKR_OPERATION_NOT_ALLOWED', 'request', 'A policy of the partition forbids this.', mechanism],
  [
    0x80000031,
    'CKR_LICENSE_CAPACITY_EXCEEDED',
    'capacity',
    'The licence of the HSM is exhausted.',
    'Ask the HSM administrator.'
  ],
  [0x80000041, 'CKR_AGAIN', 'device', 'The HSM is busy.', again],
  [
    0x80000067,
    'CKR_CHALLENGE_INCORRECT',
    'pin',
    'The challenge secret is not correct.',
    'Enter the current challenge secret. Wrong entries lock the partition after at most 10.'
  ],
  [0x80000076, 'CKR_HSM_TAMPERED', 'device', 'The HSM reports tampering.', 'Contact the HSM administrator at once.'],
  [
    0x8000008d,
    'CKR_HSM_RESTART_REQUIRED',
    'device',
    'The HSM must be restarted.',
    'Ask the HSM administrator to restart it.'
  ],
  // NSS softoken: its own error number as a return code, NSS_ERROR base plus "no such database".
  [
    0xce534351,
    'CKR_NSS_CERTDB_FAILED',
    'request',
    'The NSS database could not be opened or created.',
    'Check that the folder exists and that the service user may write to it.'
  ]
]

/** Where the guide treats a code, when it is not where it treats others of its class. */
const places: Readonly<Record<number, GuidePlace>> = {
  3: guidePlaces.slotList,
  49: guidePlaces.showInfo,
  112: guidePlaces.tested,
  113: guidePlaces.tested,
  184: guidePlaces.logout,
  209: guidePlaces.tested,
  226: guidePlaces.roles,
  258: guidePlaces.cryptoOfficer,
  259: guidePlaces.roles,
  260: guidePlaces.logout,
  261: guidePlaces.logout,
  439: guidePlaces.client,
  2147483657: guidePlaces.initialise,
  2147483674: guidePlaces.roles,
  2147483676: guidePlaces.roles,
  2147483680: guidePlaces.partition,
  2147483690: guidePlaces.showInfo,
  2147483692: guidePlaces.showInfo,
  2147483696: guidePlaces.tested,
  2147483751: guidePlaces.activation,
  2147483766: guidePlaces.hsm,
  2147483789: guidePlaces.hsm
}
const placesOfClass: Readonly<Partial<Record<CkrClass, GuidePlace>>> = {
  pin: guidePlaces.changePassword,
  device: guidePlaces.registration
}

function guideOf(code: number, kind: CkrClass): GuidePlace | null {
  return places[code] ?? placesOfClass[kind] ?? null
}

/** The whole table, in order, for docs/errors.md. */
export const ckrTable: readonly Ckr[] = rows.map(([code, name, kind, say, cure]) => ({
  code,
  name,
  class: kind,
  say,
  cure,
  guide: guideOf(code, kind)
}))

const byCode = new Map(ckrTable.map((row) => [row.code, row]))

/** Looks a return code up; an unknown number keeps its number in the name, and counts as device trouble. */
export function ckrOf(code: number): Ckr {
  const known = byCode.get(code)
  if (known !== undefined) return known
  const hex = `0x${code.toString(16).toUpperCase().padStart(8, '0')}`
  if (code >= 0x80000045 && code <= 0x80000066) {
    const say = 'The secure trusted channel to the HSM failed.'
    return { code, name: `CKR_STC_${hex}`, class: 'device', say, cure: reach, guide: guidePlaces.network }
  }
  return {
    code,
    name: `CKR_${hex}`,
    class: 'device',
    say: `The library answered with the unknown code ${hex}.`,
    cure: again,
    guide: null
  }
}
