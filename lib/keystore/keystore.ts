/**
 * The key store: a small core, and capabilities that are found by trying. Luna, DPoD and NSS are all PKCS#11, so one
 * implementation serves them with two profiles (data). Nothing here loads a module into the caller's process: PKCS#11
 * lives in the hsm-agent, a child that can hang, crash or print without harm (reference: DESIGN section 4).
 */
import type { KeyObject } from 'node:crypto'

/** Where the keys are. `gemalto-safenet` covers Luna and DPoD; `nss` is the software-only module. */
export type KeyStoreConfig =
  | {
      readonly profile: 'gemalto-safenet'
      /** Absolute path of the PKCS#11 library. */
      readonly module: string
      /** Folder that holds Chrystoki.conf (becomes ChrystokiConfigurationPath); absent = the client's own default. */
      readonly confPath?: string | undefined
      /** The number typed by the administrator: a hint. Serial, then label, resolve the token. */
      readonly slot: number
      readonly partition: string
      /** Known after the first proof; a different one is `token-swapped`. */
      readonly serial?: string | undefined
      /** SHA-256 of the library as it was proved, hex; another file in its place is not loaded. */
      readonly moduleSha256?: string | undefined
    }
  | {
      readonly profile: 'nss'
      /** Absolute path of libsoftokn3.so; absent = the profile's list of known places. */
      readonly module?: string | undefined
      readonly moduleSha256?: string | undefined
      /** Absolute folder of the sql: database (cert9.db, key4.db). */
      readonly folder: string
    }

export type KeyAlgorithm = 'AES-256' | 'EC-P256' | 'EC-P384' | 'RSA-3072'

export interface KeySpec {
  /** CKA_ID, hex, 16 bytes: the name by which a key is found again. Labels are for people. */
  readonly id: string
  readonly algorithm: KeyAlgorithm
  readonly label: string
}

export interface KeyRef {
  readonly id: string
  readonly algorithm: KeyAlgorithm
  readonly label: string
}

/** What certificates are signed with: SHA-256 for P-256 and RSA, SHA-384 for P-384. ECDSA answers DER (RFC 5480, X9.62). */
export interface KeyStore {
  /** Label, serial, model and slot of the token that is open. */
  readonly token: TokenIdentity
  /** How many sessions do the work, each in a thread of its own. */
  readonly sessions: number
  /** Creates a sensitive, non-extractable token key. @throws AppError conflict if the id exists. */
  createKey: (spec: KeySpec) => Promise<KeyRef>
  /** Finds by CKA_ID; null when absent. @throws AppError conflict when more than one, or one that is not sensitive and non-extractable. */
  findKey: (id: string) => Promise<KeyRef | null>
  publicKey: (ref: KeyRef) => Promise<KeyObject>
  /**
   * The check value of an AES key: 6 hexadecimal digits that tell two keys apart and nothing about either (CKA_CHECK_VALUE, or
   * the first 3 bytes of a zero block under AES-ECB, which is the same). @throws AppError invalid-input for a key that signs
   */
  checkValue: (ref: KeyRef) => Promise<string>
  /** Signs `data` (hashed here, not by the caller) with ECDSA or RSASSA-PKCS1-v1_5; verified with the public key before it is returned. */
  sign: (ref: KeyRef, data: Uint8Array) => Promise<Uint8Array>
  /** 1..4096 bytes from C_GenerateRandom. */
  random: (bytes: number) => Promise<Uint8Array>
  /** Destroys a key by id (tests and undo); false when it was not there. */
  destroyKey: (id: string) => Promise<boolean>
  /** True when it holds no secret and no private key, whoever made them. */
  isEmpty: () => Promise<boolean>
  /** One cheap call to the token (C_GetSessionInfo) with its deadline; throws AppError key-store-unavailable. Never logs in. */
  ping: () => Promise<void>
  close: () => Promise<void>
}

/** Capability: authenticated encryption under an AES key of the token (AES-GCM in the IV mode that the token takes). */
export interface EncryptsData {
  encrypt: (ref: KeyRef, plaintext: Uint8Array, aad: Uint8Array) => Promise<Sealed>
  /** @throws AppError invalid-input when tag, AAD or key do not match. */
  decrypt: (ref: KeyRef, sealed: Sealed, aad: Uint8Array) => Promise<Uint8Array>
}

export interface Sealed {
  /** `caller-iv`: 12-byte IV given by us; `token-iv`: the token made a 16-byte one and appended it (Luna FIPS mode). */
  readonly mode: 'caller-iv' | 'token-iv'
  /** Base64; empty for token-iv. */
  readonly iv: string
  /** Base64 of ciphertext and 16-byte tag. */
  readonly data: string
}

export interface TokenIdentity {
  readonly slot: number
  readonly label: string
  readonly serial: string
  readonly model: string
  readonly manufacturer: string
  /** e.g. "7.1": CK_VERSION has two numbers only. */
  readonly firmware: string
}
