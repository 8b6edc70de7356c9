/** Creates the topics that are not there; what is there stays as it is, except what a killed check has left. */
import { openBroker } from '../../../lib/broker/broker.ts'
import { sweepScratchTopics } from '../../checks/kafka.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'
import { brokerSettingsOf, type KafkaAnswers, topicsOf } from './answers.ts'

export async function applyKafka(answers: KafkaAnswers, context: ApplyContext): Promise<ApplyResult> {
  const { topicPrefix, partitions, replication } = answers
  const broker = openBroker(brokerSettingsOf(answers), 10_000)
  try {
    await sweepScratchTopics(broker, topicPrefix)
    const create = async (topic: string) => {
      context.report(`Creating topic ${topic}`)
      await context.effect(
        'topic',
        topic,
        async () => {
          await broker.createTopics([{ topic, partitions, replication }])
        },
        async () => (await broker.metadata()).topics.includes(topic)
      )
    }
    // Side by side: most of each is waiting until the topic has a leader. What was begun is ended before the broker is left.
    const ends = await Promise.allSettled(Object.values(topicsOf(topicPrefix)).map(create))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  } finally {
    await broker.close()
  }
  return {}
}
