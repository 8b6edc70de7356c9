/** kafkajs's admin client, replaced after a lost connection or a deadline: its own may stay broken. */
import type { Admin, Kafka } from 'kafkajs'
import { within } from '../process/within.ts'
import { brokerError } from './errors.ts'

interface ClusterAdmin {
  readonly call: <T>(what: string, work: (admin: Admin) => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

const keepsConnection = new Set(['forbidden', 'conflict', 'invalid-input', 'not-found'])

export function clusterAdmin(kafka: Kafka, deadlineMs: number): ClusterAdmin {
  let current: { admin: Admin; ready: Promise<void> } | null = null

  function open() {
    const admin = kafka.admin({ retry: { retries: 0 } })
    return { admin, ready: admin.connect() }
  }

  return {
    call: async (what, work) => {
      current ??= open()
      const using = current
      try {
        return await within(deadlineMs, what, () => using.ready.then(() => work(using.admin)))
      } catch (thrown) {
        const error = brokerError(thrown)
        if (!keepsConnection.has(error.code)) {
          if (current === using) current = null
          void using.admin.disconnect().catch(() => {})
        }
        throw error
      }
    },
    close: async () => {
      await current?.admin.disconnect().catch(() => {})
      current = null
    }
  }
}
