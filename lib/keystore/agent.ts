/**
 * The hsm-agent: the process that holds the token. Started by agent-client.ts, dies with it, and may be killed at any time.
 * Nothing else may import this program.
 */
import type pkcs11js from 'pkcs11js'
import type { AgentAnswer, AgentStart, FromAgent, ToAgent } from './agent-protocol.ts'
import { TokenWork } from './agent-work.ts'
import type { TokenIdentity } from './keystore.ts'
import { attempt, CallRefused, findToken, giveFirstPin, initialize, loadModule, logIn, openSession } from './module.ts'

/** Answers are sent at the latest after this time, so that the client sees that calls go on. */
const flushMs = 50

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

let step = 'load'
let library: pkcs11js.PKCS11 | undefined
let work: TokenWork | undefined

function tell(message: FromAgent): void {
  process.send?.(message)
}

function enter(name: string): void {
  step = name
  tell({ kind: 'step', step })
}

/** Waiting for the permission to log in. */
let permitted: ((pin: string) => void) | undefined

async function open(request: AgentStart): Promise<void> {
  enter('load')
  library = loadModule(request.start.module)
  enter('initialize')
  initialize(library, request.start)
  enter('slots')
  const { choice, handle } = await findToken(library, request.start)
  const madeNow = request.create && choice.found && !choice.token.flags.userPinInitialized
  const pin = await new Promise<string>((resolve) => {
    permitted = resolve
    tell({ kind: 'may-i-log-in', choice, madeNow })
  })
  if (!choice.found || handle === null) throw new Error('a login was permitted without a token')
  enter('session')
  const anchor = { library, session: openSession(library, handle) }
  if (madeNow) giveFirstPin(library, anchor.session, pin)
  enter('login')
  const failure = logIn(library, anchor.session, pin)
  tell({ kind: 'login-answered', failure })
  if (failure !== null) return tell({ kind: 'not-opened', step, failure })
  enter('find')
  work = new TokenWork(anchor, handle, request.choices)
  work.keys.touch()
  const { slot, label, serial, model, manufacturer, firmware } = choice.token
  const token: TokenIdentity = { slot, label, serial, model, manufacturer, firmware }
  tell({ kind: 'opened', token })
}

async function run({ calls }: Extract<ToAgent, { kind: 'calls' }>, holder: TokenWork): Promise<void> {
  let answers: AgentAnswer[] = []
  let flushedAt = performance.now()
  for (const [index, call] of calls.entries()) {
    answers.push(await holder.answer(call))
    if (performance.now() - flushedAt > flushMs && index < calls.length - 1) {
      tell({ kind: 'answers', answers, last: false })
      answers = []
      flushedAt = performance.now()
    }
  }
  tell({ kind: 'answers', answers, last: true })
}

function close(): void {
  const open = library
  if (open !== undefined) attempt('C_Finalize', () => open.C_Finalize())
}

async function obey(message: ToAgent): Promise<void> {
  switch (message.kind) {
    case 'open':
      return await open(message.request)
    case 'login':
      return permitted?.(message.pin)
    case 'calls':
      return work === undefined ? undefined : await run(message, work)
    case 'close':
      try {
        close()
      } finally {
        tell({ kind: 'closed' })
      }
  }
}

process.on('message', (message: ToAgent) => {
  obey(message).catch((error: unknown) => {
    if (!(error instanceof CallRefused)) throw error
    tell({ kind: 'not-opened', step, failure: error.failure })
  })
})
