/** A job for people: its document in the words of the page. */
import type { Install } from '../install/install.ts'
import { askedBy } from '../install/jobs/cancelled.ts'
import { hasEnded, type JobDocument } from '../install/jobs/job.ts'
import type { JobModel, SetupPage } from './view-model.ts'

const kindWords: Readonly<Record<JobDocument['stands'][number]['kind'], string>> = {
  schema: 'Database schema',
  'database-user': 'Database user',
  migration: 'Migration',
  credential: 'Credential',
  key: 'Key',
  'key-store': 'Software key store',
  certificate: 'Certificate',
  'certificate-authority': 'Certificate authority',
  tenant: 'Account',
  administrator: 'Administrator',
  license: 'License',
  topic: 'Kafka topic',
  service: 'Service'
}

const mostStands = 12

export function jobModel(
  job: JobDocument,
  { steps, stateDir }: Pick<Install, 'steps' | 'stateDir'>,
  csrf: string
): JobModel {
  const titleOf = (id: string) => steps.find((step) => step.id === id)?.title ?? id
  const { id, title, state, actor, startedAt, elapsedMs, waiting, phases, problem, retryable } = job
  const open = !hasEnded(job)
  const failed = phases.findLast((phase) => phase.state === 'failed' || phase.state === 'cancelled')
  const stands = job.stands.map(
    (row) => `${kindWords[row.kind]} ${row.name}${row.state === 'done' ? '' : ' (begun, not finished)'}`
  )
  return {
    title,
    self: `/setup/jobs/${id}`,
    csrf,
    state,
    by: askedBy(actor),
    startedAt,
    since: clock(startedAt),
    elapsedMs,
    ...(waiting === null ? {} : { waiting: { what: waiting.what, ms: Date.now() - Date.parse(waiting.since) } }),
    phases,
    steps: job.steps.map((row) => ({ ...row, state: stepState(row.state, job), title: titleOf(row.id) })),
    stands: stands.slice(0, mostStands),
    standsMore: Math.max(0, stands.length - mostStands),
    ...(problem === null
      ? {}
      : {
          problem: {
            detail: problem.detail.split('\n')[0] ?? '',
            ...(problem.cure === undefined ? {} : { cure: problem.cure })
          }
        }),
    ...(failed === undefined ? {} : { stoppedAt: failed.title }),
    cancellable: open,
    retryable,
    ...(state === 'failed' || state === 'interrupted' ? { supportBundle: supportBundle(stateDir) } : {})
  }
}

function stepState(state: JobDocument['steps'][number]['state'], job: JobDocument): JobModel['steps'][number]['state'] {
  if (state === 'failed' && job.state === 'cancelled') return 'cancelled'
  return state === 'waiting' && hasEnded(job) ? 'not-begun' : state
}

/** As it is typed on the host, where the wizard may have been given another state folder than the command takes by itself. */
function supportBundle(stateDir: string): string {
  const folder = /^[\w/.@:+-]+$/.test(stateDir) ? stateDir : `'${stateDir.replaceAll("'", `'\\''`)}'`
  return `keyscaler support-bundle --state ${folder}`
}

/** What stands in the way of Next. */
export function underWay(job: JobDocument): NonNullable<SetupPage['underWay']> {
  const { id, title, startedAt, actor } = job
  return { title, since: clock(startedAt), by: askedBy(actor), href: `/setup/jobs/${id}` }
}

/** 12:00:01 UTC: as the log has it. */
function clock(at: string): string {
  return `${at.slice(11, 19)} UTC`
}
