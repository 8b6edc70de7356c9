/**
 * The hsm-agent: the process that holds the token. Started by agent-client.ts, dies with it, and may be killed at any time.
 * Its main thread never calls the library, so it can tell that a call hangs. Nothing else may import this program.
 */
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { Socket } from 'node:net'
import { AgentCalls } from './agent-calls.ts'
import type { AgentAnswer, AgentCall, AgentStart, FromAgent, ToAgent } from './agent-protocol.ts'
import { startThread } from './agent-thread-handle.ts'
import type { FromThread } from './agent-thread-protocol.ts'
import { AgentThreads } from './agent-threads.ts'
import { FrameReader, noCall, SignAnswers, signPipes } from './sign-frames.ts'

const watchEveryMs = 50
const aliveEveryMs = 250

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

/** Before there is anything to open: a thread takes longer to start than a local token to open. */
const first = { keeper: startThread('keeper'), worker: startThread('worker') }
let threads: AgentThreads | undefined
let calls: AgentCalls | undefined
let underWay = 0
let answers: AgentAnswer[] = []
let spokeAt = 0

function tell(message: FromAgent): void {
  spokeAt = performance.now()
  process.send?.(message)
}

function open(request: AgentStart): void {
  // Of the process, before the library is loaded: it asks getenv(3).
  Object.assign(process.env, request.start.environment)
  const opening = new AgentThreads(first, request, {
    hear,
    sessions: (count) => tell({ kind: 'sessions', count }),
    unsigned: (call) => calls?.unsigned(call)
  })
  threads = opening
  calls = new AgentCalls(opening, report)
  const frames = new FrameReader((call, body) => calls?.sign({ call, body }))
  new Socket({ fd: signPipes.calls, writable: false }).on('data', (piece) => frames.read(piece))
  setInterval(() => watch(opening), watchEveryMs)
}

function hear(message: FromThread): void {
  switch (message.kind) {
    case 'kept':
      tell({ kind: 'opened', token: message.token })
      // Now, because this process is ended by a signal, and Node writes it at the exit.
      flushCompileCache()
      break
    case 'finalized':
      sayNoMore()
      tell({ kind: 'closed' })
      break
    case 'step':
    case 'may-i-log-in':
    case 'login-answered':
    case 'not-opened':
      tell(message)
      break
  }
}

function run(batch: readonly AgentCall[], by: AgentCalls): void {
  underWay += batch.length
  for (const call of batch)
    void by.answer(call).then((answer) => {
      underWay -= 1
      report(answer)
    })
}

/** What is answered in the same turn travels together. */
function report(answer: AgentAnswer): void {
  answers.push(answer)
  if (answers.length > 1) return
  setImmediate(() => {
    tell({ kind: 'answers', answers })
    answers = []
  })
}

/** All signatures are on the pipe, where the word that follows by IPC could overtake them. */
function sayNoMore(): void {
  const last = new SignAnswers()
  last.add(noCall, Buffer.alloc(0))
  writeSync(signPipes.answers, last.take())
}

/** A call that hangs never comes back, and only SIGKILL ends it: the client does that. */
function watch(opened: AgentThreads): void {
  const now = performance.now()
  const late = opened.overdue(now)
  if (late !== null) tell({ kind: 'hung', op: late.op, ms: late.deadlineMs })
  else if ((underWay > 0 || opened.signing) && now - spokeAt > aliveEveryMs) tell({ kind: 'alive' })
}

process.on('message', (message: ToAgent) => {
  switch (message.kind) {
    case 'open':
      open(message.request)
      break
    case 'login':
      threads?.logIn(message.pin)
      break
    case 'calls': {
      const by = calls
      if (by !== undefined) run(message.calls, by)
      break
    }
    case 'close':
      void threads?.finalize()
      break
  }
})
