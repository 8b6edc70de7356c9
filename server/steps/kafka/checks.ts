/** The ladder of the Kafka step: brokers, encryption, login, cluster, topics, one record there and back. */
import { defineLadder, type Skips } from '../../checks/check.ts'
import { dialCodes } from '../../checks/dial.ts'
import { isGood, type KafkaSeen, observeKafka } from '../../checks/kafka.ts'
import type { BrokerGreeting } from '../../checks/kafka-greeting.ts'
import type { Rung } from '../../checks/ladder-judge.ts'
import { tlsCure, tlsSays } from '../../checks/tls.ts'
import { brokerSettingsOf, type KafkaAnswers, topicsOf } from './answers.ts'
import { madeTopics } from './made-topics.ts'
import { type SeenTopics, topicNumbers } from './topic-numbers.ts'

function brokerSays({ server, problem, tls }: BrokerGreeting): string {
  const host = server.slice(0, server.lastIndexOf(':'))
  if (tls !== null && tls.problem !== null) return `${server}: ${tlsSays(tls, host)}`
  switch (problem) {
    case null:
      return `${server} answers.`
    case 'unresolved':
      return `${host} does not resolve by DNS or /etc/hosts.`
    case 'not-kafka':
      return `What answers at ${server} is not Kafka.`
    case 'wants-tls':
      return `${server} hangs up on an unencrypted connection.`
    default:
      return `Cannot reach ${server} (${dialCodes[problem]}).`
  }
}

const all = (greetings: readonly BrokerGreeting[]) => greetings.map(brokerSays).join(' ')
const bad = ({ greetings }: KafkaSeen) => greetings.filter((greeting) => !isGood(greeting))

const brokers: Rung<KafkaSeen> = {
  id: 'kafka.brokers-answer',
  title: 'Brokers',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ greetings }) => greetings.every((greeting) => !isGood(greeting)),
      say: (seen) => all(bad(seen)),
      fix: ({ greetings }) => {
        const tls = greetings.find((greeting) => greeting.tls?.problem != null)?.tls
        if (tls != null) return tlsCure(tls.problem)
        return greetings.some(({ problem }) => problem === 'wants-tls')
          ? 'Choose SSL or SASL_SSL, or the port of a PLAINTEXT listener.'
          : 'Check that the brokers run, and host, port and firewall.'
      },
      field: ({ greetings }) => (greetings.some(({ tls }) => tls?.problem === 'untrusted') ? 'ca' : 'brokers')
    },
    {
      verdict: 'warn',
      when: (seen) => bad(seen).length > 0,
      say: ({ greetings }) => all(greetings),
      fix: 'Mend or leave out those that do not answer; the others are enough to go on.',
      field: 'brokers'
    },
    { verdict: 'pass', say: ({ greetings }) => all(greetings) }
  ]
}

const encryption: Rung<KafkaSeen> = {
  id: 'kafka.encryption',
  title: 'Encryption',
  outcomes: [
    {
      verdict: 'warn',
      when: ({ greetings }) => greetings.some(({ tls, loopback }) => tls === null && !loopback),
      say: 'Device events would cross the network unencrypted.',
      fix: 'Choose SSL or SASL_SSL, or go on if the network is your own.',
      field: 'security'
    },
    {
      verdict: 'pass',
      when: ({ greetings }) => greetings.some(({ tls }) => tls !== null),
      say: ({ greetings }) => `${greetings.find(isGood)?.tls?.protocol ?? 'TLS'}, certificates verified.`
    },
    { verdict: 'pass', say: 'The brokers are on this machine; encryption is not needed.' }
  ]
}

const cluster: Rung<KafkaSeen> = {
  id: 'kafka.metadata',
  title: 'Cluster',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ login }) => login?.code === 'unauthenticated',
      say: 'The broker refused the user name or password.',
      fix: 'Check user name, password and SASL mechanism.',
      field: 'password'
    },
    {
      verdict: 'fail',
      when: ({ cluster }) => cluster === null,
      say: ({ login }) => `The cluster did not tell its metadata (${login?.message ?? 'no answer'}).`,
      fix: 'The brokers name each other by advertised.listeners: those names must resolve and answer from here.',
      field: 'brokers'
    },
    {
      verdict: 'info',
      when: ({ mock }) => mock,
      say: ({ cluster }) =>
        `This broker is librdkafka's mock cluster: ${cluster?.brokers.length} brokers in memory, topics made when mentioned, everything lost when it stops. Good for a look around, not for production.`
    },
    {
      verdict: 'pass',
      say: ({ cluster }) => {
        const size = cluster?.brokers.length ?? 0
        return `Cluster ${cluster?.clusterId} of ${size} ${size === 1 ? 'broker' : 'brokers'}.`
      }
    }
  ]
}

const topics: Rung<SeenTopics> = {
  id: 'kafka.topics',
  title: 'Topics',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ cluster, replication }) => cluster !== null && replication > cluster.brokers.length,
      say: ({ cluster, replication }) =>
        `Replication factor ${replication} exceeds ${cluster?.brokers.length} brokers.`,
      fix: ({ cluster }) => `Enter ${cluster?.brokers.length} or less, or add brokers.`,
      field: 'replication',
      offer: ({ cluster }) => ({
        label: `Use ${cluster?.brokers.length}`,
        values: { replication: String(cluster?.brokers.length) }
      })
    },
    ...topicNumbers.refused,
    {
      verdict: 'fail',
      when: ({ rights }) => rights?.code === 'forbidden',
      say: 'The account may not create and delete topics.',
      fix: 'Give it Create, Delete, Describe, Read and Write on topics with the prefix, and Read on groups keyscaler-* (kafka-acls.sh).',
      field: 'topicPrefix'
    },
    {
      verdict: 'fail',
      when: ({ rights }) => rights !== null,
      say: ({ rights }) => `A scratch topic could not be made and removed (${rights?.message ?? 'no answer'}).`,
      fix: "Look at the brokers' logs, and at create.topic.policy and delete.topic.enable.",
      field: 'topicPrefix'
    },
    {
      verdict: 'info',
      when: ({ mock }) => mock,
      say: 'The mock cluster made a scratch topic; rights cannot be tried there.'
    },
    topicNumbers.reordered,
    { verdict: 'pass', say: 'Made a scratch topic and removed it again.' }
  ]
}

const recordRung: Rung<KafkaSeen> = {
  id: 'kafka.record',
  title: 'A record',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ roundTrip }) => roundTrip?.code === 'forbidden',
      say: 'The account may not write to or read from its topic.',
      fix: 'Give it Read and Write on topics with the prefix, and Read on groups keyscaler-* (kafka-acls.sh).',
      field: 'topicPrefix'
    },
    {
      verdict: 'fail',
      when: ({ roundTrip }) => roundTrip !== null,
      say: ({ roundTrip }) => `A record did not come back (${roundTrip?.message ?? 'no answer'}).`,
      fix: 'Check min.insync.replicas against the replication factor, and that the group coordinator runs.',
      field: 'brokers'
    },
    { verdict: 'pass', say: 'Sent one record and read it back.' }
  ]
}

/** What is looked at for nothing that is asked for is not done: nobody logs in, no topic is made, no record sent. */
function leftOut(skip: Skips) {
  const record = skip.has(recordRung.id)
  const topic = record && skip.has(topics.id)
  return { record, topic, login: topic && skip.has(cluster.id) }
}

export const kafkaLadder = defineLadder<KafkaAnswers, SeenTopics>({
  id: 'kafka.reach',
  title: 'Brokers',
  deadlineMs: 10_000,
  fix: 'Check that the brokers run and are not overloaded, then test again.',
  field: 'brokers',
  observe: async (answers, around) => {
    const { topicPrefix, partitions, replication } = answers
    const names = topicsOf(topicPrefix)
    const question = {
      ...{ settings: brokerSettingsOf(answers), topicPrefix, topics: Object.values(names), partitions, replication },
      without: around.skip === undefined ? undefined : leftOut(around.skip)
    }
    const seen = await observeKafka(question, around.progress)
    // Only what the topics are called depends on it: a database that is away does not make the broker look bad.
    const made = seen.there.length === 0 ? null : await madeTopics(around).catch(() => null)
    return { ...seen, ...names, partitions, made }
  },
  rungs: [brokers, encryption, cluster, topics, recordRung]
})
