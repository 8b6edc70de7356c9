/** Configuration of each service: what the wizard writes, and each program parses once at start. */
import { z } from 'zod'

const path = z.string().startsWith('/')
const port = z.int().min(1).max(65535)

/** What every service is told; each program parses it once at start, prints every problem and exits 2. */
const base = {
  listen: z.strictObject({ host: z.string(), port }),
  /** https://host:port as others reach it. */
  address: z.url(),
  /** The server certificate: from the internal CA, or given by the administrator (PEM files). */
  tls: z.strictObject({ certificate: path, key: path }),
  /** The service's own identity for mutual TLS, always from the internal CA; `ca` is that CA and what else is trusted. */
  identity: z.strictObject({ certificate: path, key: path, ca: path }),
  database: z.strictObject({
    host: z.string(),
    port,
    name: z.string(),
    user: z.string(),
    passwordFile: path,
    /** PEM file; present = TLS with this CA, and the name is verified. */
    tlsCa: path.optional()
  }),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info')
}

const measured = {
  /** Worker threads, a session each; absent: as many as the profile and the token take. */
  sessions: z.int().min(1).max(256).optional()
}

const keyStore = z.discriminatedUnion('profile', [
  z.strictObject({
    profile: z.literal('gemalto-safenet'),
    module: path,
    confPath: path.optional(),
    slot: z.int().min(0),
    partition: z.string(),
    serial: z.string(),
    ...measured
  }),
  z.strictObject({ profile: z.literal('nss'), module: path.optional(), folder: path, ...measured })
])

export const kmsConfig = z.strictObject({
  ...base,
  keyStore,
  pinFile: path,
  /** Folder of the PIN guard that wizard and KMS share: the same wrong PIN is never sent twice. */
  pinGuard: path,
  /** CKA_ID of the master key that this install was made with: any version of it, the database knows which is active. */
  masterKey: z.string(),
  /** Key check value of that master key, six hex digits; another key under its id is refused. */
  masterKeyCheckValue: z
    .string()
    .regex(/^[0-9a-f]{6}$/)
    .optional(),
  /** SHA-256 of the library as it was validated; another file there is not loaded. */
  moduleSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  serviceCa: z.strictObject({ keyId: z.string(), certificate: path })
})

const kms = z.strictObject({ address: z.url() })

export const daeConfig = z.strictObject({
  ...base,
  kms,
  tenant: z.string(),
  memcached: z.strictObject({ servers: z.array(z.string()), prefix: z.string() }),
  /** Topic that the device events of this install are for; MQS sends them. */
  deviceTopic: z.string(),
  estLabel: z.string().default('')
})

export const mqsConfig = z.strictObject({
  ...base,
  kafka: z.strictObject({
    brokers: z.array(z.string()).min(1),
    security: z.enum(['PLAINTEXT', 'SSL', 'SASL_SSL']),
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
    username: z.string().optional(),
    passwordFile: path.optional(),
    ca: path.optional()
  }),
  deviceTopic: z.string(),
  /** Probe events of the deployment check travel on this topic. */
  probeTopic: z.string()
})

export const cpConfig = z.strictObject({
  ...base,
  kms,
  dae: z.strictObject({ address: z.url() }),
  mqs: z.strictObject({ address: z.url() }),
  sessionDays: z.int().min(1).max(30).default(1)
})

export type KmsConfig = z.infer<typeof kmsConfig>
export type DaeConfig = z.infer<typeof daeConfig>
export type MqsConfig = z.infer<typeof mqsConfig>
export type CpConfig = z.infer<typeof cpConfig>
