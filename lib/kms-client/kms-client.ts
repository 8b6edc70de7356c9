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
  readonly state: 'intent' | 'active'
}

export interface DataKey {
  /** 32 bytes. */
  readonly plaintext: Buffer
  /** To be stored; opened again with unwrapDataKey and the same context. */
  readonly wrapped: WrappedDataKey
}

export interface WrappedDataKey extends Sealed {
  /** CKA_ID of the master key that wrapped it. */
  readonly masterKey: string
}

/** What the profile engine in the KMS is asked for; subject and validity are bounded by it, the CSR only proves possession. */
export interface DeviceCertificateRequest {
  readonly csr: string
  readonly commonName: string
  /** Hex; stored by the caller before signing. */
  readonly serial: string
  readonly days: number
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
  /** Role dae. Answers the certificate (PEM). */
  readonly issueDeviceCertificate: (caKeyId: string, request: DeviceCertificateRequest) => Promise<string>
  /** Role wizard: a TLS certificate for one of our services from the internal CA, for the public key in the CSR. */
  readonly issueServiceCertificate: (spec: {
    service: string
    csr: string
    dnsNames: readonly string[]
    ipAddresses: readonly string[]
  }) => Promise<{ certificate: string; ca: string }>
  /** `context` binds the key to its use (table, tenant): the same words are needed to unwrap. */
  readonly newDataKey: (context: string) => Promise<DataKey>
  readonly unwrapDataKey: (wrapped: WrappedDataKey, context: string) => Promise<Buffer>
  readonly close: () => Promise<void>
}
