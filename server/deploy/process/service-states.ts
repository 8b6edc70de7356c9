/** What a supervised service may become next; anything else is a mistake of ours or a race, and is refused. */
import { AppError } from '../../../lib/errors/app-error.ts'
import type { ServiceState } from '../target.ts'

const moves: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  stopped: ['starting'],
  starting: ['ready', 'unhealthy', 'backing-off', 'latched', 'stopped'],
  ready: ['unhealthy', 'backing-off', 'latched', 'stopped'],
  unhealthy: ['ready', 'backing-off', 'latched', 'stopped'],
  'backing-off': ['starting', 'stopped'],
  // Only a new deployment (with a new answer) leaves the latch: an automatic restart could spend another PIN attempt.
  latched: ['starting', 'stopped']
}

/** @returns `to`. @throws AppError conflict for a move that the table does not have */
export function move(service: string, from: ServiceState, to: ServiceState): ServiceState {
  if (from === to || moves[from].includes(to)) return to
  throw new AppError('conflict', `${service} is ${from}; it cannot become ${to} from there.`)
}
