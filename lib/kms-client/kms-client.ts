/**
 * The KMS as its callers see it: HTTPS with mutual TLS, JSON. The client certificate's role decides what is allowed.
 * Every call has a deadline (5 s); a KMS that is not there is AppError service-unavailable, never a hang.
 */
import type { Sealed } from '../keystore/keystore.ts'

export interface KmsKey {
  /** CKA_ID, hex. */
  readonly id: string
  readonly purpose: 'master' | 'service-ca' | 'tenant-ca' | 'tenant' | 'signing'
  readonly algorithm: string
  readonly label: string
  readonly tenant: string | null
  /** `retired` opens what it wrapped and wraps nothing new; `destroyed` is gone from the token, its row stays. */
  readonly state: 'intent' | 'active' | 'retired' | 'destroyed'
  /** 1, 2, …: a rotation makes the next one. */
  readonly version: number
  /** Of an AES key, six hex digits; null where it is not known. */
  readonly checkValue: string | null
}

export interface DataKey {
  /** 32 bytes. */
  readonly plaintext: Buffer
  /** To be stored; opened again with unwrapDataKey, the same context and the same tenant. */
  readonly wrapped: StoredDataKey
}

/**
 * A data key as it is kept, with all that is needed to open it, and that it is bound to (the associated data of every layer).
 * Each layer was put around what the ones before it made: a tenant's key first where there is one, the master key last.
 */
export interface WrappedDataKey {
  readonly v: 2
  /** Row of table data_keys: its context, and the tenant that it belongs to (null: the install itself). */
  readonly aad: { readonly table: 'data_keys'; readonly row: string; readonly tenant: string | null }
  readonly layers: readonly WrappingLayer[]
  /** Base64: ciphertext and tag of the outermost layer. */
  readonly data: string
}

export interface WrappingLayer {
  /** CKA_ID of the key. */
  readonly key: string
  readonly keyVersion: number
  readonly mechanism: 'CKM_AES_GCM'
  readonly ivMode: Sealed['mode']
  /** Base64; empty for token-iv. */
  readonly iv: string
}

/** As installs of before key versions have them: one layer of the master key, bound to the context alone. */
export interface FirstWrappedDataKey extends Sealed {
  /** CKA_ID of the master key that wrapped it. */
  readonly masterKey: string
}

export type StoredDataKey = WrappedDataKey | FirstWrappedDataKey

/** How far a rotation is: the new version is active from its beginning, this is the re-wrapping of what older ones wrapped. */
export interface KeyRotation {
  readonly id: string
  readonly purpose: 'master' | 'tenant'
  readonly tenant: string | null
  readonly fromKey: string
  readonly toKey: string
  readonly state: 'rewrapping' | 'done'
  readonly total: number
  readonly rewrapped: number
  /** Data keys that do not open (changed bytes): left as they are, and their old key cannot be destroyed. */
  readonly unreadable: number
}

/** What the profile engine in the KMS is asked for; subject and validity are bounded by it, the CSR only proves possession. */
export interface DeviceCertificateRequest {
  readonly csr: string
  readonly commonName: string
  /** Hex; stored by the caller before signing. */
  readonly serial: string
  readonly days: number
}

/** The next key of a CA under its name, and how both sign each other (RFC 4210 4.4). PEM. */
export interface CaSuccession {
  readonly keyId: string
  readonly certificate: string
  readonly newWithOld: string
  readonly oldWithNew: string
}

/** Of a tenant, in the token; it signs messages and nothing else. */
export interface SigningKey {
  readonly keyId: string
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string
}

export interface KmsClient {
  readonly health: () => Promise<{ ready: boolean; detail: string }>
  readonly listKeys: () => Promise<readonly KmsKey[]>
  readonly createTenantKey: (tenant: string) => Promise<KmsKey>
  /** Makes (or adopts) the tenant's CA key in the token and its self-signed certificate (PEM). Role wizard. */
  readonly createTenantCa: (spec: {
    tenant: string
    subject: string
    algorithm: 'EC-P256' | 'EC-P384' | 'RSA-3072'
    days: number
  }) => Promise<{ keyId: string; certificate: string }>
  /** Role wizard. The same successor each time. @throws AppError not-found */
  readonly succeedTenantCa: (caKeyId: string, days: number) => Promise<CaSuccession>
  /** Role dae. Answers the certificate (PEM). */
  readonly issueDeviceCertificate: (caKeyId: string, request: DeviceCertificateRequest) => Promise<string>
  /** Role wizard: a TLS certificate for one of our services from the internal CA, for the public key in the CSR. */
  readonly issueServiceCertificate: (spec: {
    service: string
    csr: string
    dnsNames: readonly string[]
    ipAddresses: readonly string[]
  }) => Promise<{ certificate: string; ca: string }>
  /**
   * `context` binds the key to its use: the same words are needed to unwrap. With a tenant it is wrapped under that tenant's
   * key first, and under the master key then.
   * @throws AppError not-found when the tenant has no key
   */
  readonly newDataKey: (context: string, tenant?: string) => Promise<DataKey>
  readonly unwrapDataKey: (wrapped: StoredDataKey, context: string, tenant?: string) => Promise<Buffer>
  /** Role wizard: the tenant's key that signs messages, EC P-256; made where there is none. @throws AppError conflict when it has another kind */
  readonly createSigningKey: (tenant: string) => Promise<SigningKey>
  /** Role wizard: the next version, which signs from now on; the same for the same key. @throws AppError not-found */
  readonly succeedSigningKey: (keyId: string) => Promise<SigningKey>
  /** @param message 1 to 65,535 bytes. @returns DER, ECDSA with SHA-256 over `signedBytes(message)` */
  readonly signMessage: (keyId: string, message: Uint8Array) => Promise<Buffer>
  /** Role wizard: makes a new version of a key and begins to re-wrap; the one under way when there is one. */
  readonly beginRotation: (purpose: KeyRotation['purpose'], tenant?: string) => Promise<KeyRotation>
  /** Re-wraps the next data keys; to be called until its state is `done`. */
  readonly continueRotation: (id: string, most?: number) => Promise<KeyRotation>
  /** Destroys a retired key. @param label as the key has it: who cannot name it does not mean it */
  readonly destroyKey: (id: string, label: string) => Promise<KmsKey>
  readonly close: () => Promise<void>
}
