/** What every service is told; each has a strict schema of its own beside its program (config.ts). */
import { z } from 'zod'

export const path = z.string().startsWith('/')
const port = z.int().min(1).max(65535)

/** What every service is told; each program parses it once at start, prints every problem and exits 2. */
export const base = {
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

/** A service that is called. */
export const peer = z.strictObject({ address: z.url() })
