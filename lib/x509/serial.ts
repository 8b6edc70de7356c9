import { randomBytes } from 'node:crypto'

/**
 * A certificate's serial number: 16 octets, positive and always of full length, 126 bits from the CSPRNG (RFC 5280
 * 4.1.2.2 allows 20 octets; 63 random bits instead of 64 once forced a mass revocation). Store it before signing.
 */
export function newSerial(): Buffer {
  const serial = randomBytes(16)
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0)
  return serial
}
