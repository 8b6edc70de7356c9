/** Passwords of database users that we make ourselves: nobody types or sees them. */
import { randomBytes } from 'node:crypto'

/** 192 random bits; the last four characters satisfy servers that want one of each kind (validate_password). */
export function newServicePassword(): string {
  return `${randomBytes(24).toString('base64url')}aA1.`
}
