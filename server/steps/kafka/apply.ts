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
    for (const topic of Object.values(topicsOf(topicPrefix))) {
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
  } finally {
    await broker.close()
  }
  return {}
}
