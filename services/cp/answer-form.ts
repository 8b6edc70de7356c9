/** A page or JSON: by Accept, then by what was sent. The data are the same. */
import type { FastifyReply, FastifyRequest } from 'fastify'

export function answerFormOf(request: FastifyRequest): 'html' | 'json' {
  const { accept = '' } = request.headers
  if (accept.includes('text/html')) return 'html'
  if (accept.includes('json')) return 'json'
  return (request.headers['content-type'] ?? '').includes('json') ? 'json' : 'html'
}

/** What the bar of every page shows: which page this is, who is logged in, and the token of the log-out form. */
function barOf(request: FastifyRequest) {
  const session = request.panelSession
  return {
    here: request.routeOptions.url ?? '',
    administrator: session?.administrator ?? null,
    csrf: session?.csrf ?? ''
  }
}

/** Answers the data as JSON, or as the page that views/cp has for them. */
export function show(request: FastifyRequest, reply: FastifyReply, view: string, data: object): unknown {
  reply.header('vary', 'accept')
  return answerFormOf(request) === 'json' ? reply.send(data) : showPage(request, reply, view, data)
}

export function showPage(request: FastifyRequest, reply: FastifyReply, view: string, data: object) {
  return reply.viewAsync(view, { ...barOf(request), ...data })
}
