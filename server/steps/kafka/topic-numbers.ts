/**
 * What the numbers of the form would do to topics that are there already. Partitions can be added and never taken away; the
 * copies of what is there are moved by Kafka's own tools alone; both are said before anything is saved.
 */
import type { TopicPlan } from '../../../lib/broker/broker.ts'
import type { KafkaSeen } from '../../checks/kafka.ts'
import type { Outcome } from '../../checks/ladder-judge.ts'

export interface SeenTopics extends KafkaSeen {
  readonly deviceTopic: string
  /** As asked for. */
  readonly partitions: number
  /** Topics that this install made; null: nobody knows. */
  readonly made: ReadonlySet<string> | null
}

const otherCopies = ({ there, replication }: SeenTopics) => there.find((topic) => topic.replication !== replication)
const fewer = ({ there, partitions }: SeenTopics) => there.find((topic) => topic.partitions > partitions)
const grown = ({ there, deviceTopic, partitions }: SeenTopics) =>
  there.find(({ topic, partitions: now }) => topic === deviceTopic && now < partitions)

const isForeign = ({ made }: SeenTopics, { topic }: TopicPlan) => made !== null && !made.has(topic)

/** "Topic a has 1 partition", "Topic a was there before this install, with 1 partition" */
function has(seen: SeenTopics, row: TopicPlan, what: string): string {
  return `Topic ${row.topic} ${isForeign(seen, row) ? 'was there before this install, with' : 'has'} ${what}`
}

/** What it takes to begin anew: what was there before us is not ours to take away. */
function otherwise(seen: SeenTopics, row: TopicPlan): string {
  return isForeign(seen, row)
    ? 'or another Topic Prefix'
    : 'or another Topic Prefix, or take the install and its topics away first (keyscaler destroy)'
}

const parts = (count: number) => (count === 1 ? '1 partition' : `${count} partitions`)

/** For outcomes whose condition has found the row. */
function of<T>(find: (seen: SeenTopics) => TopicPlan | undefined, tell: (row: TopicPlan, seen: SeenTopics) => T) {
  return (seen: SeenTopics): T => {
    const row = find(seen)
    if (row === undefined) throw new Error('told without a topic')
    return tell(row, seen)
  }
}

const refused: readonly Outcome<SeenTopics>[] = [
  {
    verdict: 'fail',
    when: (seen) => otherCopies(seen) !== undefined,
    say: of(
      otherCopies,
      (row, seen) => `${has(seen, row, `replication factor ${row.replication}`)}: a topic that is there keeps its own.`
    ),
    fix: of(
      otherCopies,
      (row, seen) =>
        `Enter ${row.replication}, ${otherwise(seen, row)}. kafka-reassign-partitions.sh changes it: then enter what the topic has.`
    ),
    field: 'replication',
    offer: of(otherCopies, ({ replication }) => ({
      label: `Use ${replication}`,
      values: { replication: String(replication) }
    }))
  },
  {
    verdict: 'fail',
    when: (seen) => fewer(seen) !== undefined,
    say: of(fewer, (row, seen) => `${has(seen, row, parts(row.partitions))}: none can be taken from a topic.`),
    fix: of(fewer, (row, seen) => `Enter ${row.partitions}, ${otherwise(seen, row)}.`),
    field: 'partitions',
    offer: of(fewer, ({ partitions }) => ({ label: `Use ${partitions}`, values: { partitions: String(partitions) } }))
  },
  {
    verdict: 'fail',
    when: ({ growth }) => growth !== null,
    say: ({ growth }) =>
      growth?.code === 'forbidden'
        ? `The account may not add partitions to topic ${growth.topic}.`
        : `Topic ${growth?.topic} cannot have more partitions (${growth?.message}).`,
    fix: ({ growth, there }) => {
      const keep = `keep ${there.find(({ topic }) => topic === growth?.topic)?.partitions}.`
      return growth?.code === 'forbidden'
        ? `Give it Alter on topics with the prefix (kafka-acls.sh), or ${keep}`
        : `Look at the brokers' logs, or ${keep}`
    },
    field: 'partitions'
  }
]

/**
 * A key's partition is its hash modulo their number (lib/broker/produce.ts): with another number most devices move, and what
 * a consumer has not read of the old partition yet stands beside the new one. MQS cannot mend that: nobody tells it who reads.
 */
const reordered: Outcome<SeenTopics> = {
  verdict: 'warn',
  when: (seen) => grown(seen) !== undefined,
  say: of(
    grown,
    (row, seen) =>
      `${has(seen, row, parts(row.partitions))}, and gets ${seen.partitions}: events of a device go to another partition from then on, and a consumer that lags may see them before earlier ones.`
  ),
  fix: of(
    grown,
    ({ partitions }) =>
      `Keep ${partitions}; or go on at a quiet time, when the consumers have read to the end, if order may be lost this once.`
  ),
  field: 'partitions',
  offer: of(grown, ({ partitions }) => ({ label: `Keep ${partitions}`, values: { partitions: String(partitions) } }))
}

export const topicNumbers = { refused, reordered }
