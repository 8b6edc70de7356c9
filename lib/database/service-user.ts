/** The database user of a service: named after the schema, so that two installs may share a server. */
import { createHash } from 'node:crypto'

/** MySQL takes 32 characters; a longer schema name is cut, and told apart by a hash. */
const longest = 32

/** `keyscaler` and `kms`: `keyscaler_kms`. */
export function serviceUserName(schema: string, service: string): string {
  const name = `${schema}_${service}`
  if (name.length <= longest) return name
  const hash = createHash('sha256').update(schema).digest('hex').slice(0, 8)
  return `${schema.slice(0, longest - service.length - hash.length - 2)}_${hash}_${service}`
}
