/** Registrations: listed from MySQL, made by the DAE. The one-time secret passes through once and is kept nowhere. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { z } from 'zod'
import { iso, isoOrNull } from '../../lib/database/rows.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { answerFormOf, show, showPage } from './answer-form.ts'
import { enrolment } from './enrolment.ts'
import { fieldsOf } from './forgery.ts'
import type { Peer } from './peer.ts'
import { sessionOf } from './session-guard.ts'

const mostListed = 200

/** What a name may be is the DAE's to say; the number comes from forms as text. */
const wanted = z.strictObject({
  deviceName: z
    .string('You must provide a value for Device Name.')
    .trim()
    .min(1, 'You must provide a value for Device Name.')
    .max(200, 'Device Name must have at most 64 characters.'),
  hours: z
    .union([
      z
        .string()
        .trim()
        .regex(/^\d{1,4}$/)
        .transform(Number),
      z.number()
    ])
    .pipe(z.int().min(1).max(720))
    .default(24)
    .catch(Number.NaN)
    .refine((hours) => !Number.isNaN(hours), 'Hours must be a number from 1 to 720.')
})

const made = z.object({
  id: z.string(),
  deviceName: z.string(),
  createdBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  usedAt: z.string().nullable(),
  secret: z.string()
})

interface RegistrationsParts {
  readonly database: Pool
  readonly dae: Peer
}

export function registerRegistrations(app: FastifyInstance, { database, dae }: RegistrationsParts): void {
  const list = async (request: FastifyRequest, reply: FastifyReply, form: object = {}) => {
    const registrations = await listed(database, sessionOf(request).administrator.tenant)
    if (answerFormOf(request) === 'json') return show(request, reply, '', { registrations })
    const empty = { values: { deviceName: '', hours: '24' }, fields: {}, errors: [] }
    return showPage(request, reply, '/cp/registrations.eta', { registrations, mostListed, ...empty, ...form })
  }

  app.get('/registrations', async (request, reply) => list(request, reply))

  app.post('/registrations', async (request, reply) => {
    try {
      const { secret, ...registration } = await create(dae, request)
      reply.code(201)
      if (answerFormOf(request) === 'json') return { registration, secret }
      const data = { registration, secret, enrolment: enrolment(dae.address, registration.deviceName) }
      return showPage(request, reply, '/cp/registered.eta', data)
    } catch (thrown) {
      if (!(thrown instanceof AppError) || answerFormOf(request) === 'json') throw thrown
      if (!theirs.has(thrown.code)) throw thrown
      return list(request, reply.code(422), refusal(thrown, request.body))
    }
  })
}

/** What whoever asks can mend; anything else is an error page. */
const theirs: ReadonlySet<string> = new Set(['invalid-input', 'conflict', 'forbidden'])

async function create(dae: Peer, request: FastifyRequest): Promise<z.infer<typeof made>> {
  const asked = wanted.safeParse(fieldsOf(request.body))
  if (!asked.success) {
    const fields = Object.fromEntries(asked.error.issues.map(({ path, message }) => [path.join('.') || '_', message]))
    throw new AppError('invalid-input', Object.values(fields).join(' '), { fields })
  }
  const by = sessionOf(request).administrator.email.slice(0, 190)
  const answer = made.safeParse(await dae.post('/api/v1/registrations', { ...asked.data, by }))
  if (answer.success) return answer.data
  throw new AppError('service-unavailable', 'The answer of the Device Authority Engine cannot be understood.')
}

/** The form again: what was typed is kept, each message stands at its field and in the summary. */
function refusal(error: AppError, body: unknown) {
  const typed = new Map(typeof body === 'object' && body !== null ? Object.entries(body) : [])
  const kept = (name: string) => {
    const value: unknown = typed.get(name)
    return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 200) : ''
  }
  const { _: general, ...fields } = error.fields ?? {}
  const known = Object.entries(fields).filter(([field]) => field === 'deviceName' || field === 'hours')
  // A message of the whole is told too, unless it only repeats those of the fields.
  const whole = known.length > 0 && error.code === 'invalid-input' ? undefined : (general ?? error.message)
  return {
    values: { deviceName: kept('deviceName'), hours: kept('hours') },
    fields: Object.fromEntries(known),
    errors: [
      ...(whole === undefined ? [] : [{ text: [whole, error.cure].filter(Boolean).join(' ') }]),
      ...known.map(([field, text]) => ({ field, text }))
    ]
  }
}

async function listed(database: Pool, tenant: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT id, device_name, created_by, created_at, expires_at, used_at FROM registrations
     WHERE tenant = ? ORDER BY created_at DESC, id LIMIT ?`,
    [tenant, mostListed]
  )
  return rows.map((row) => {
    const [expiresAt, usedAt] = [iso(row.expires_at), isoOrNull(row.used_at)]
    const open = new Date(expiresAt) > new Date()
    return {
      id: String(row.id),
      deviceName: String(row.device_name),
      createdBy: String(row.created_by),
      createdAt: iso(row.created_at),
      expiresAt,
      usedAt,
      state: usedAt !== null ? 'used' : open ? 'open' : 'expired'
    }
  })
}
