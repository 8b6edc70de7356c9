/**
 * What the edge remembers of the jobs that were asked for here, in memory and of the last of them only: who asked, what
 * stood in the form (no secrets), and what is to be shown once. The app of the open setup and that of the locked one share
 * it: the job that locks setup ends after the app that began it is gone.
 */
import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { sameText } from '../../../lib/service/same-text.ts'
import type { Install } from '../../install/install.ts'
import type { ApplyResult } from '../../steps/step.ts'
import { sessionCookie } from '../guard.ts'

export type ShownOnce = NonNullable<ApplyResult['showOnce']>

export interface RememberedJob {
  /** SHA-256 of the session or token that asked. */
  readonly holder: string
  /** The form as it was sent, without secrets; null: it was none. */
  readonly typed: Readonly<Record<string, unknown>> | null
  readonly continueAnyway: boolean
  /** Filled by the work; taken by the first to whom it is shown. */
  readonly once: ShownOnce[number][]
}

export interface JobDesk {
  readonly remember: (id: string, job: RememberedJob) => void
  readonly find: (id: string) => RememberedJob | undefined
  readonly isHolder: (id: string, holder: string) => boolean
  /** Of the last jobs of this holder: it is gone with this. */
  readonly takeOnce: (holder: string) => ShownOnce | undefined
}

const mostRemembered = 32
const desks = new WeakMap<Pick<Install, 'jobs'>, JobDesk>()

export function jobDesk(install: Pick<Install, 'jobs'>): JobDesk {
  const known = desks.get(install)
  if (known !== undefined) return known
  const jobs = new Map<string, RememberedJob>()
  const desk: JobDesk = {
    remember: (id, job) => {
      jobs.set(id, job)
      for (const oldest of jobs.keys()) {
        if (jobs.size <= mostRemembered) break
        jobs.delete(oldest)
      }
    },
    find: (id) => jobs.get(id),
    isHolder: (id, holder) => sameText(jobs.get(id)?.holder ?? '', holder),
    takeOnce: (holder) => {
      const taken = [...jobs.values()]
        .filter((job) => sameText(job.holder, holder))
        .flatMap(({ once }) => once.splice(0))
      return taken.length === 0 ? undefined : taken
    }
  }
  desks.set(install, desk)
  return desk
}

/** The session or token that a request came with, hashed; what is no session is nobody's. */
export function holderOf({ headers, cookies }: FastifyRequest, tls: boolean): string {
  const held = headers.authorization ?? cookies[sessionCookie(tls).name]
  return held === undefined ? '' : createHash('sha256').update(held).digest('hex')
}
