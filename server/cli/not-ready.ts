/** What an apply that did all it had to do may still have to say: a service does not serve. */
import { AppError } from '../../lib/errors/app-error.ts'
import type { SeenService } from '../deploy/target.ts'
import type { Install } from '../install/install.ts'

/** Deployed services that were looked at and do not serve. */
export function notReady(install: Install): readonly SeenService[] {
  return install.target.lastSeen().filter(({ state }) => state !== 'ready')
}

export function notAllReady(missing: readonly SeenService[], stateDir: string): AppError {
  const words = missing.map(({ title, state, detail }) => `${title} is ${state}: ${detail}`)
  return new AppError('service-unavailable', `${words.join('; ')}.`, {
    cure: `Mend the cause, then run this again; their logs are in ${stateDir}/run/<service>/service.log.`
  })
}
