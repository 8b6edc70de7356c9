/** kafkajs, loaded at its first use: its 145 files are an eighth of a second that a command without a broker need not wait. */
import { createRequire } from 'node:module'

/** As much of kafkajs 2.2.4's network/requestQueue as is touched; its version is pinned. */
interface RequestQueue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  scheduleCheckPendingRequests: () => void
}

const require = createRequire(import.meta.url)
let rests = false

export function kafkajs(): typeof import('kafkajs') {
  const loaded: typeof import('kafkajs') = require('kafkajs')
  if (!rests) restBetweenRequests(require('kafkajs/src/network/requestQueue'))
  rests = true
  return loaded
}

/**
 * After each answer a connection's queue sets a timer for the end of a throttling, also where there is none: minus a long
 * time, which Node takes for 1 ms (TimeoutNegativeWarning). The timer sets the next: a thousand a second for each open
 * connection, 3 % of a core for nothing. A queue with nothing to send needs no timer: what comes sets it.
 */
function restBetweenRequests({ prototype }: { readonly prototype: RequestQueue }): void {
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}
