/** Removes a topic of this install, with the events in it. */
import { openBroker } from '../../../lib/broker/broker.ts'
import type { Undo, Undos } from '../undo-context.ts'
import { brokerSettingsOf, kafkaAnswers } from './answers.ts'

const undoTopic: Undo = async (topic, { answersOf, secretOf }) => {
  const password = await secretOf('kafka', 'password')
  const answers = kafkaAnswers.parse({ ...(await answersOf('kafka')), ...(password === undefined ? {} : { password }) })
  const broker = openBroker(brokerSettingsOf(answers), 10_000)
  try {
    if (!(await broker.metadata()).topics.includes(topic)) return 'absent'
    await broker.deleteTopic(topic)
    return 'removed'
  } finally {
    await broker.close()
  }
}

export const undoKafka: Undos = { topic: undoTopic }
