/** Asking a deployed service for a proof, as the wizard, where it was told to listen. */
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { catalog, type ServiceName } from '../../services/catalog.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import { askService, reachOf, type ServiceAnswer, type ServiceRequest } from '../deploy/process/service-request.ts'

const deadlineMs = 5000

/** @throws AppError service-unavailable when it does not answer, deploy-failed with its words for another status than 2xx */
export async function askDeployed(
  stateDir: string,
  service: ServiceName,
  request: Pick<ServiceRequest, 'method' | 'path' | 'body'>
): Promise<ServiceAnswer> {
  const { title } = catalog[service]
  const reach = reachOf(await readDeployedConfig(runFolder(stateDir, service)))
  if (reach === null) throw new AppError('conflict', `The ${title} is not deployed.`)
  const identity = identityFiles(stateDir, 'wizard')
  const answer = await askService(reach, { ...request, identity, deadlineMs }).catch((cause: unknown) => {
    throw new AppError('service-unavailable', `The ${title} does not answer: ${messageOf(cause)}.`, { cause })
  })
  if (answer.status >= 200 && answer.status < 300) return answer
  const said = problemDetail(answer.body.toString())
  throw new AppError('deploy-failed', `The ${title} answered ${answer.status} to ${request.path}${said}.`)
}

export function jsonOf(answer: ServiceAnswer): unknown {
  try {
    return JSON.parse(answer.body.toString())
  } catch (cause) {
    throw new AppError('deploy-failed', 'The service answered something that is no JSON.', { cause })
  }
}

/** Of an RFC 9457 problem. */
function problemDetail(body: string): string {
  try {
    const problem: unknown = JSON.parse(body)
    const detail = typeof problem === 'object' && problem !== null && 'detail' in problem ? problem.detail : undefined
    return typeof detail === 'string' ? `: ${detail.replace(/\.$/, '')}` : ''
  } catch {
    return ''
  }
}
