/**
 * The hsm-agent's process, started before there is anything to ask of it: it loads its code meanwhile, and nothing else.
 * Library, token and login come with the opening, as ever; until then it does not know which they are.
 */
import { Socket } from 'node:net'
import { type ModuleChild, startModuleChild } from './module-child.ts'

export interface AgentAhead {
  /** The process, for the one that opens the key store with it; undefined when it was taken or ended. */
  readonly take: () => ModuleChild | undefined
  /** Ends it, unless it was taken. */
  readonly drop: () => void
}

/**
 * Its environment tells who started it, for those who look at processes, and where Node keeps compiled code: what the library
 * reads there comes with the opening.
 */
export function startAgent(): ModuleChild {
  const environment = { KEYSCALER_STARTED_BY: process.argv.slice(1).join(' ') }
  return startModuleChild(new URL('./agent.ts', import.meta.url), environment, undefined, { pipes: 2 })
}

/** Only time is lost when it cannot be started: the opening says why. Until it is taken it does not keep this process. */
export function agentAhead(): AgentAhead {
  let kept = started()
  keepsUs(kept, false)
  const take = () => {
    const taken = kept
    keepsUs(taken, true)
    kept = undefined
    return taken
  }
  return { take, drop: () => take()?.kill() }
}

function started(): ModuleChild | undefined {
  try {
    return startAgent()
  } catch {
    return undefined
  }
}

function keepsUs(child: ModuleChild | undefined, keeps: boolean): void {
  if (child === undefined) return
  const { process: its } = child
  const pipes = its.stdio.filter((pipe) => pipe instanceof Socket)
  for (const handle of [its, its.channel, ...pipes]) {
    if (keeps) handle?.ref()
    else handle?.unref()
  }
}
