/**
 * The keeper's part of the agent: it starts the library, holds the one login in the anchor session, and looks keys up. Closing
 * the last session would log out, so the anchor is never closed (pkcs11.md section 0).
 */
import type pkcs11js from 'pkcs11js'
import type { AgentStart } from './agent-protocol.ts'
import type { FromThread, KeeperJobs } from './agent-thread-protocol.ts'
import {
  findToken,
  giveFirstPin,
  initialize,
  loadModule,
  logIn,
  openSession,
  refuseLoggedOut,
  sessionsLeft
} from './module.ts'
import { TokenKeys } from './token-keys.ts'

export type KeeperJob = {
  [Op in keyof KeeperJobs]: { readonly op: Op; readonly ask: KeeperJobs[Op]['ask'] }
}[keyof KeeperJobs]

export interface OpenToken {
  readonly library: pkcs11js.PKCS11
  readonly slot: pkcs11js.Handle
  readonly anchor: pkcs11js.Handle
}

export interface OpeningTalk {
  readonly tell: (message: FromThread) => void
  /** Each step as it begins: when it hangs or crashes, this is the last word. */
  readonly enter: (step: string) => Promise<void>
  /** The PIN, once the gate lets it through. */
  readonly permitted: () => Promise<string>
}

/** One login at most. Null when it was refused, which has been told. @throws CallRefused */
export async function openToken(request: AgentStart, talk: OpeningTalk): Promise<OpenToken | null> {
  await talk.enter('load')
  const library = loadModule(request.start.module)
  await talk.enter('initialize')
  initialize(library, request.start)
  await talk.enter('slots')
  const { choice, handle } = await findToken(library, request.start)
  const madeNow = request.create && choice.found && !choice.token.flags.userPinInitialized
  talk.tell({ kind: 'may-i-log-in', choice, madeNow })
  const pin = await talk.permitted()
  if (!choice.found || handle === null) throw new Error('a login was permitted without a token')
  await talk.enter('session')
  const anchor = openSession(library, handle)
  if (madeNow) giveFirstPin(library, anchor, pin)
  await talk.enter('login')
  const failure = logIn(library, anchor, pin)
  talk.tell({ kind: 'login-answered', failure })
  if (failure !== null) {
    talk.tell({ kind: 'not-opened', step: 'login', failure })
    return null
  }
  await talk.enter('find')
  new TokenKeys({ library, session: anchor }, false).touch()
  const { slot, label, serial, model, manufacturer, firmware } = choice.token
  const token = { slot, label, serial, model, manufacturer, firmware }
  talk.tell({ kind: 'kept', token, slot: new Uint8Array(handle), most: sessionsLeft(library, handle) })
  return { library, slot: handle, anchor }
}

export class KeeperWork {
  readonly #token: OpenToken
  readonly #keys: TokenKeys

  /** @param copies keys are used as session copies */
  constructor(token: OpenToken, copies: boolean) {
    this.#token = token
    this.#keys = new TokenKeys({ library: token.library, session: token.anchor }, copies)
  }

  async run({ op, ask }: KeeperJob): Promise<KeeperJobs[KeeperJob['op']]['answer']> {
    switch (op) {
      case 'look':
        return await this.#keys.find(ask.id)
      case 'taken':
        return this.#keys.taken(ask.id)
      case 'destroy':
        return this.#keys.destroy(ask.id)
      case 'isEmpty':
        return this.#keys.areNone()
      case 'ping':
        refuseLoggedOut(this.#token.library, this.#token.anchor)
        return null
    }
  }
}
