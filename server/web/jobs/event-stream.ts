/**
 * The events of a job as server-sent events: those after Last-Event-ID first, then each as it happens, a heartbeat in
 * between, and nothing after `end`. A reader holds no queue of its own: it reads on in the job's events when there is room,
 * so that a slow one costs itself lines of a log and never memory, and the work nothing.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { hasEnded } from '../../install/jobs/job.ts'
import type { FollowedJob } from '../../install/jobs/jobs.ts'
import { eventAnswer } from './job-answer.ts'

const heartbeatMs = 3000
/** After that long without room for a byte nobody reads any more. */
const deafMs = 60_000
const reconnectMs = 1000
const mostStreams = 100
/** Of the lines that a slow reader has missed, these last ones are sent. */
const keptLines = 40

let open = 0

export function streamEvents(request: FastifyRequest, reply: FastifyReply, job: FollowedJob): FastifyReply {
  const after = lastEventId(request)
  const last = lastNumber(job)
  // HTML section 9.2.3: 204 tells an EventSource that there is nothing to come back for.
  if (hasEnded(job.document()) && after >= last) return reply.code(204).send()
  if (open >= mostStreams) {
    throw new AppError('service-unavailable', 'Too many streams of events are open.', {
      cure: 'Ask for the job itself now and then (GET /setup/jobs/<id>).'
    })
  }
  reply.hijack()
  const { raw } = reply
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
  raw.write(`retry: ${reconnectMs}\n\n`)
  if (request.method === 'HEAD') return end(raw, reply)
  follow(raw, job, Math.min(after, last))
  return reply
}

function end(raw: ServerResponse, reply: FastifyReply): FastifyReply {
  raw.end()
  return reply
}

function follow(raw: ServerResponse, job: FollowedJob, after: number): void {
  let sent = after
  let slow = false
  let deaf: NodeJS.Timeout | undefined
  open += 1

  const write = (text: string) => {
    if (raw.write(text) || slow) return
    slow = true
    deaf = setTimeout(() => raw.destroy(), deafMs)
  }
  const pump = () => {
    if (slow || raw.writableEnded) return
    const news = job.events.after(sent)
    const from = news.length - keptLines
    for (const [at, event] of news.entries()) {
      sent = event.n
      if (event.type === 'log' && at < from) continue
      write(message(event.type, eventAnswer(event), event.n))
      if (event.type === 'end') return void raw.end()
      // The rest of it when there is room.
      if (slow) return
    }
    // Of a process that ended before the job did, so that nothing more will be said.
    if (hasEnded(job.document()) && job.events.after(sent).length === 0) {
      const { state, endedAt } = job.document()
      write(message('end', { n: sent + 1, at: endedAt, type: 'end', state, location: null }, sent + 1))
      raw.end()
    }
  }
  const beat = setInterval(() => {
    if (slow) return
    const { elapsedMs, waiting, state } = job.document()
    write(message('heartbeat', { type: 'heartbeat', at: new Date().toISOString(), state, elapsedMs, waiting }, null))
  }, heartbeatMs)
  const stop = job.events.subscribe(pump)
  raw.on('drain', () => {
    slow = false
    clearTimeout(deaf)
    pump()
  })
  raw.once('close', () => {
    open -= 1
    clearInterval(beat)
    clearTimeout(deaf)
    stop()
  })
  pump()
}

function message(type: string, data: object, id: number | null): string {
  return `${id === null ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}

function lastEventId({ headers }: FastifyRequest): number {
  const given = Number(headers['last-event-id'] ?? 0)
  return Number.isSafeInteger(given) && given > 0 ? given : 0
}

/** Of its end, also where that is only said here. */
function lastNumber(job: FollowedJob): number {
  const last = job.events.after(0).at(-1)
  return last?.type === 'end' ? last.n : (last?.n ?? 0) + 1
}
