/** kafkajs, loaded at its first use: its 145 files are an eighth of a second that a command without a broker need not wait. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export function kafkajs(): typeof import('kafkajs') {
  return require('kafkajs')
}
