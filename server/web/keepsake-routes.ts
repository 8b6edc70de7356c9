/**
 * What an administrator takes along: the answers file, and the signed install record. While setup is open its session is
 * asked for; after setup they are given to callers on this machine only, as all that names serials and accounts is.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { exportAnswers } from '../install/export-answers.ts'
import type { Install } from '../install/install.ts'
import { latestRecord } from '../install/record-file.ts'
import { verifyRecord } from '../install/record-signature.ts'
import type { Access } from './access.ts'
import { callerOf, neverStore } from './guard.ts'
import { product } from './product.ts'
import type { RecordPage } from './view-model.ts'
import { isLoopback } from './wizard-tls.ts'

export interface KeepsakeOptions {
  readonly install: Install
  readonly access: Access
  readonly tls: boolean
}

/** While setup is open. */
export async function setupKeepsakeRoutes(app: FastifyInstance, { install, access, tls }: KeepsakeOptions) {
  app.addHook('onRequest', neverStore)
  app.get('/setup/answers.yaml', async (request, reply) => {
    if (callerOf(request, access, tls) !== null) return sendAnswers(install, reply)
    throw new AppError('unauthenticated', 'Setup needs its code first.', { cure: 'Open /setup/code.' })
  })
}

/** After setup. */
export async function keepsakeRoutes(app: FastifyInstance, { install }: Pick<KeepsakeOptions, 'install'>) {
  app.addHook('onRequest', neverStore)
  app.get('/answers.yaml', async (request, reply) => {
    refuseElsewhere(request)
    return sendAnswers(install, reply)
  })
  app.get('/record', async (request, reply) => {
    refuseElsewhere(request)
    const page: RecordPage = { product, ...verifyRecord(await recordText(install)) }
    return reply.viewAsync('/record.eta', page)
  })
  app.get('/record.json', async (request, reply) => {
    refuseElsewhere(request)
    const text = await recordText(install)
    // RFC 7515 section 9.2.2.
    reply.type('application/jose+json; charset=utf-8')
    return reply.header('content-disposition', 'attachment; filename="install-record.json"').send(text)
  })
}

async function recordText({ stateDir }: Install): Promise<string> {
  const text = await latestRecord(stateDir)
  if (text !== null) return text
  throw new AppError('not-found', 'There is no install record yet.', { cure: 'keyscaler record sign makes it.' })
}

async function sendAnswers({ stateDir, steps, answers }: Install, reply: FastifyReply): Promise<string> {
  reply.type('application/yaml; charset=utf-8')
  reply.header('content-disposition', 'attachment; filename="keyscaler-answers.yaml"')
  return exportAnswers({ stateDir, steps, answers: await answers() })
}

function refuseElsewhere(request: FastifyRequest): void {
  if (isLoopback(request.ip.replace(/^::ffff:/, ''))) return
  throw new AppError('forbidden', 'This is shown to callers on this machine only.', {
    cure: 'Open it on the server itself, or use keyscaler config export and keyscaler record show there.'
  })
}
