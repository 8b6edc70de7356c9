/** What a program that reads `--output json` is told of an error; members as in the problem documents of docs/errors.md. */
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { RefusedFile } from '../install/refused-file.ts'

export interface JsonProblem {
  readonly type: string
  readonly code: string
  readonly detail: string
  readonly cure?: string
  /** `place` is file:line:column, where it is a file that is wrong. */
  readonly errors?: readonly { readonly pointer: string | null; readonly detail: string; readonly place?: string }[]
}

const told = new WeakSet<object>()

/** The error is in what was printed already. @returns it, to be thrown */
export function alreadyTold<E extends object>(error: E): E {
  told.add(error)
  return error
}

/**
 * Runs a command's work; what it throws is printed as one line of JSON before it goes on.
 * @param beside members that stand beside `problem`
 */
export async function tellingProblems(
  output: 'text' | 'json',
  work: () => Promise<void>,
  beside: Readonly<Record<string, unknown>> = {}
): Promise<void> {
  try {
    await work()
  } catch (thrown) {
    const isTold = typeof thrown === 'object' && thrown !== null && told.has(thrown)
    if (output === 'json' && !isTold) {
      process.stdout.write(`${JSON.stringify({ ...beside, problem: problemOf(thrown) })}\n`)
    }
    throw thrown
  }
}

function problemOf(thrown: unknown): JsonProblem {
  if (!(thrown instanceof AppError)) return { type: '/problems/internal', code: 'internal', detail: messageOf(thrown) }
  const { code, message: detail, cure, fields } = thrown
  const errors =
    thrown instanceof RefusedFile
      ? thrown.problems.map(({ pointer, place, why }) => ({ pointer, detail: why, place }))
      : Object.entries(fields ?? {}).map(([name, why]) => ({ pointer: `/${name}`, detail: why }))
  return {
    type: `/problems/${code}`,
    code,
    detail,
    ...(cure === undefined ? {} : { cure }),
    ...(errors.length === 0 ? {} : { errors })
  }
}
