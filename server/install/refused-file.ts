/** A file that a person wrote and that is refused, with all that is wrong, each at its place. */
import { AppError } from '../../lib/errors/app-error.ts'

export interface FileProblem {
  /** JSON pointer of the value, or of where it should be; null: of none. */
  readonly pointer: string | null
  /** file:line:column */
  readonly place: string
  readonly why: string
  readonly cure?: string | undefined
}

/** Its message has a line for each, beginning with the place. */
export class RefusedFile extends AppError {
  readonly problems: readonly FileProblem[]

  constructor(problems: readonly FileProblem[]) {
    const cures = [...new Set(problems.map(({ cure }) => cure).filter((cure) => cure !== undefined))]
    const text = problems.map(({ place, why }) => `${place}: ${why}`).join('\n')
    super('invalid-input', text, cures.length === 0 ? {} : { cure: cures.join('\n') })
    this.problems = problems
  }
}
