/** What the routes of setup share: who calls, how a step's page is drawn, and the install that it is about. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Install } from '../../install/install.ts'
import type { StepProgress } from '../../install/progress.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import type { Caller } from '../guard.ts'
import type { PageState } from '../step-page.ts'

export interface SetupGround {
  readonly install: Install
  readonly tls: boolean
  /** Called when the last step is done, before its end is told: the wizard puts the locked app in place of this one. */
  readonly finished: () => Promise<void>
  /** @throws AppError unauthenticated */
  readonly callerIn: (request: FastifyRequest) => Caller
  readonly render: (
    request: FastifyRequest,
    reply: FastifyReply,
    step: DefinedStep,
    state: PageState
  ) => Promise<unknown>
  /** @throws AppError not-found */
  readonly openStep: (params: { readonly id: string }) => Promise<{
    readonly step: DefinedStep
    readonly progress: readonly StepProgress[]
    /** It may be posted. */
    readonly open: boolean
  }>
}

/** A secret that came in never goes out again. */
export function withoutSecrets(step: DefinedStep, answers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => step.fields[name]?.secret !== true))
}
