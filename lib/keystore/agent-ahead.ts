/**
 * The hsm-agent's process, started before there is anything to ask of it: it loads its code meanwhile, and nothing else.
 * Library, token and login come with the opening, as ever.
 */
import type { KeyStoreConfig } from './keystore.ts'
import { type ModuleChild, startModuleChild } from './module-child.ts'
import { moduleStart } from './module-start.ts'

export interface AgentAhead {
  /** The process, for the one that opens the key store with it; undefined when it was taken or ended. */
  readonly take: () => ModuleChild | undefined
  /** Ends it, unless it was taken. */
  readonly drop: () => void
}

/** @param environment the whole of it but where Node keeps compiled code */
export function startAgent(environment: Readonly<Record<string, string>>): ModuleChild {
  return startModuleChild(new URL('./agent.ts', import.meta.url), environment, undefined, { pipes: 2 })
}

/** Only time is lost when it cannot be started: the opening says why. */
export function agentAhead(config: KeyStoreConfig): AgentAhead {
  let kept = started(config)
  const take = () => {
    const taken = kept
    kept = undefined
    return taken
  }
  return { take, drop: () => take()?.kill() }
}

function started(config: KeyStoreConfig): ModuleChild | undefined {
  try {
    return startAgent(moduleStart(config, 'write').environment)
  } catch {
    return undefined
  }
}
