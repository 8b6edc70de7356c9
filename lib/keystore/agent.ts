/**
 * The hsm-agent: the process that holds the token. Started by agent-client.ts, dies with it, and may be killed at any time.
 * Its main thread never calls the library, so it can tell that a call hangs. Nothing else may import this program.
 */
import { flushCompileCache } from 'node:module'
import { AgentCalls, type SignReport } from './agent-calls.ts'
import type { AgentAnswer, AgentStart, FromAgent, SignedCalls, ToAgent } from './agent-protocol.ts'
import type { FromThread } from './agent-thread-protocol.ts'
import { AgentThreads } from './agent-threads.ts'

const watchEveryMs = 50
const aliveEveryMs = 250

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

let threads: AgentThreads | undefined
let calls: AgentCalls | undefined
let underWay = 0
let answers: AgentAnswer[] = []
let signed: SignedCalls[] = []
let spokeAt = 0

function tell(message: FromAgent): void {
  spokeAt = performance.now()
  process.send?.(message)
}

function open(request: AgentStart): void {
  const opening = new AgentThreads(request, { hear, sessions: (count) => tell({ kind: 'sessions', count }) })
  threads = opening
  calls = new AgentCalls(opening)
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

function run({ calls: others, signs }: Extract<ToAgent, { kind: 'calls' }>, by: AgentCalls): void {
  underWay += others.length
  for (const call of others) void by.answer(call).then(report.answered)
  for (const batch of signs) {
    underWay += batch.calls.length
    by.sign(batch, report)
  }
}

const report: SignReport = {
  answered: (answer) => {
    underWay -= 1
    answers.push(answer)
    flushSoon()
  },
  signed: (some) => {
    underWay -= some.calls.length
    signed.push(some)
    flushSoon()
  }
}

/** What is answered in the same turn travels together. */
function flushSoon(): void {
  if (answers.length + signed.length > 1) return
  setImmediate(() => {
    tell({ kind: 'answers', answers, signed })
    answers = []
    signed = []
  })
}

/** A call that hangs never comes back, and only SIGKILL ends it: the client does that. */
function watch(opened: AgentThreads): void {
  const now = performance.now()
  const late = opened.overdue(now)
  if (late !== null) tell({ kind: 'hung', op: late.op, ms: late.deadlineMs })
  else if (underWay > 0 && now - spokeAt > aliveEveryMs) tell({ kind: 'alive' })
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
      if (by !== undefined) run(message, by)
      break
    }
    case 'close':
      void threads?.finalize()
      break
  }
})
