/** What the KMS measures of itself. */
import { Gauge, Histogram, type Registry } from 'prom-client'

export interface Measures {
  /** Counts the time of one call to the key store, failed ones included. */
  readonly timed: <T>(operation: 'sign' | 'wrap' | 'unwrap', work: () => Promise<T>) => Promise<T>
  readonly keyStoreOpen: (open: boolean) => void
}

export function openMeasures(registry: Registry): Measures {
  const seconds = new Histogram({
    name: 'keyscaler_kms_operation_seconds',
    help: 'Time of one operation of the key store, as its callers wait for it',
    labelNames: ['operation'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry]
  })
  const open = new Gauge({
    name: 'keyscaler_kms_key_store_open',
    help: '1 when the key store is open, 0 when it is lost',
    registers: [registry]
  })
  return {
    timed: async (operation, work) => {
      const stop = seconds.startTimer({ operation })
      try {
        return await work()
      } finally {
        stop()
      }
    },
    keyStoreOpen: (isOpen) => open.set(isOpen ? 1 : 0)
  }
}
