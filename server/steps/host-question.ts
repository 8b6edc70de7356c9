/** Of which service, and where in the answers, the address is. */
import type { ServiceName } from '../../services/catalog.ts'

export interface HostQuestion<Answers> {
  readonly service: ServiceName
  /** Name of the field, the same as its step's id and "Host". */
  readonly field: `${ServiceName}Host`
  readonly addressOf: (answers: Answers) => string
}
