/**
 * The hsm-agent that will make the keys: its process loads its code while the checks run. At most one; nothing is lost but time
 * when there is none, and it is let go when nothing comes of it.
 */
import { type AgentAhead, agentAhead } from '../../../lib/keystore/agent-ahead.ts'

/** The check of a key store far away, and what comes before and after it. */
const keptMs = 120_000

let kept: AgentAhead | undefined
let end: NodeJS.Timeout | undefined

export function letAgentWait(): void {
  if (kept !== undefined) return
  kept = agentAhead()
  end = setTimeout(() => takeAgent()?.drop(), keptMs)
  end.unref()
}

export function takeAgent(): AgentAhead | undefined {
  clearTimeout(end)
  const taken = kept
  kept = undefined
  return taken
}
