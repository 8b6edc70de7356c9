import { openBroker } from '../../lib/broker/broker.ts'
import type { Kafka } from '../kafka.ts'

/** Waits (20 s) for the device's `device.enrolled` record on the topic of the sample answers. */
export async function readEvent({ brokers }: Pick<Kafka, 'brokers'>, deviceName: string): Promise<void> {
  const broker = openBroker({ brokers, security: 'PLAINTEXT', clientId: 'keyscaler-demo' })
  try {
    await broker.consumeOne(
      'keyscaler.devices',
      ({ key, headers }) => key === deviceName && headers.type === 'device.enrolled',
      { deadlineMs: 20_000 }
    )
  } finally {
    await broker.close()
  }
}
