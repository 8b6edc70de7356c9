/** Tells the page whether the brokers that stand in the form are librdkafka's mock cluster. */
import { isMockCluster, openBroker } from '../../../lib/broker/broker.ts'

const deadlineMs = 800

/** False too when nobody answers in time: the checks say more. @param brokers as they stand in the form */
export async function isMockAt(brokers: string): Promise<boolean> {
  const addresses = brokers.split(/[\s,]+/).filter((part) => part !== '')
  if (addresses.length === 0) return false
  const broker = openBroker({ brokers: addresses, security: 'PLAINTEXT' }, deadlineMs)
  try {
    return isMockCluster(await broker.metadata())
  } catch {
    return false
  } finally {
    void broker.close()
  }
}
