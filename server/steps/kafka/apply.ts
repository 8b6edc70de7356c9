/**
 * Creates the topics that are not there, and gives those that are there the partitions that they lack. What else is there
 * stays as it is (the check has refused what cannot be had of it), except what a killed check has left.
 */
import { isMockCluster, openBroker } from '../../../lib/broker/broker.ts'
import { sweepScratchTopics } from '../../checks/kafka.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'
import { brokerSettingsOf, type KafkaAnswers, topicsOf } from './answers.ts'

/** @throws AppError forbidden, broker-unavailable, deadline-exceeded, …: what the cluster says */
export async function applyKafka(answers: KafkaAnswers, context: ApplyContext): Promise<ApplyResult> {
  const { topicPrefix, partitions, replication } = answers
  const broker = openBroker(brokerSettingsOf(answers), 10_000)
  try {
    await sweepScratchTopics(broker, topicPrefix)
    const known = await broker.metadata()
    const make = async (topic: string) => {
      const isThere = known.topics.includes(topic)
      const before = isThere && !isMockCluster(known) ? await broker.describeTopic(topic) : null
      const grows = before !== null && before.partitions < partitions
      if (grows) context.report(`Adding partitions to topic ${topic} (${before.partitions} become ${partitions})`)
      else if (before !== null && (before.partitions > partitions || before.replication !== replication))
        context.report(`Topic ${topic} is there, and stays as it is`)
      else context.report(`Creating topic ${topic}`)
      await context.effect(
        'topic',
        topic,
        async () => {
          if (grows) await broker.addPartitions(topic, partitions)
          else await broker.createTopics([{ topic, partitions, replication }])
        },
        async () => isThere
      )
    }
    // Side by side: most of each is waiting until the topic has a leader. What was begun is ended before the broker is left.
    const ends = await Promise.allSettled(Object.values(topicsOf(topicPrefix)).map(make))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  } finally {
    await broker.close()
  }
  return {}
}
