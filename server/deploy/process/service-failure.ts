/** What a deployment or a restart that did not end well says: why, and the last lines of the service's log. */
import { AppError } from '../../../lib/errors/app-error.ts'
import type { ServiceEntry } from '../../../services/catalog.ts'
import type { Exit } from './running-process.ts'

/** "was not ready within 75 s (keyStore: …)", "ended while starting (exit code 1)". */
export function whyNotReady({ health }: ServiceEntry, outcome: Exit | string): string {
  if (typeof outcome !== 'string') return `ended while starting (${outcome.why})`
  return `was not ready within ${health.withinMs / 1000} s (${outcome})`
}

export function notReady(entry: ServiceEntry, why: string, tail: readonly string[], log: string): AppError {
  const cure = `Its log is ${log}.`
  return new AppError('deploy-failed', `${entry.title} ${why}.\n${tail.join('\n')}`.trimEnd(), { cure })
}

/** @param detail as the latch has it: "sealed: PIN rejected" */
export function sealed(entry: ServiceEntry, detail: string, tail: readonly string[]): AppError {
  const cure = 'Enter the current password: on the KMS Deployment step, or with `keyscaler hsm set-pin`.'
  return new AppError('pin-rejected', `${entry.title} is ${detail}. It stays down.\n${tail.join('\n')}`, { cure })
}
