/**
 * The hsm-agent: the process that holds the token. Started by agent-client.ts, dies with it, and may be killed at any time.
 * Its main thread never calls the library, so it can tell that a call hangs. Nothing else may import this program.
 */
import { flushCompileCache } from 'node:module'
import { AgentCalls } from './agent-calls.ts'
import type { AgentAnswer, AgentStart, FromAgent, ToAgent } from './agent-protocol.ts'
import type { FromThread } from './agent-thread-protocol.ts'
import { AgentThreads } from './agent-threads.ts'

const watchEveryMs = 50
const aliveEveryMs = 250

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

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

async function run(call: Extract<ToAgent, { kind: 'calls' }>['calls'][number], by: AgentCalls): Promise<void> {
  underWay += 1
  const answer = await by.answer(call)
  underWay -= 1
  answers.push(answer)
  // What is answered in the same turn travels together.
  if (answers.length === 1) setImmediate(flush)
}

function flush(): void {
  tell({ kind: 'answers', answers })
  answers = []
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
      if (by !== undefined) for (const call of message.calls) void run(call, by)
      break
    }
    case 'close':
      void threads?.finalize()
      break
  }
})
