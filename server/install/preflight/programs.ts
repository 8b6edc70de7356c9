/** Node, which runs everything; Java, which only a Kafka on this very machine needs; the name of this machine. */
import { execFile } from 'node:child_process'
import { hostname } from 'node:os'
import { promisify } from 'node:util'
import { defineCheck } from '../../checks/check.ts'
import { placeOf } from '../../steps/host-place.ts'

const oldestNode = 24
/** Apache Kafka 4. */
const oldestJava = 17

const major = (version: string) => Number.parseInt(version, 10)

export const nodeCheck = defineCheck<string, string>({
  id: 'preflight.node',
  title: 'Node.js',
  deadlineMs: 1000,
  fix: `Install Node.js ${oldestNode}.`,
  observe: async () => process.versions.node,
  outcomes: [
    {
      verdict: 'fail',
      when: (version) => major(version) < oldestNode,
      say: (version) => `Node.js ${version} is too old.`,
      fix: `Install Node.js ${oldestNode} or newer.`
    },
    { verdict: 'pass', say: (version) => `Node.js ${version}.` }
  ]
})

export const javaCheck = defineCheck<string, string | null>({
  id: 'preflight.java',
  title: 'Java',
  deadlineMs: 10_000,
  fix: 'Look at what `java -version` says.',
  observe: () => javaVersion(),
  outcomes: [
    {
      verdict: 'info',
      when: (version) => version === null,
      say: 'There is no Java here: it is needed for a Kafka on this very machine only.'
    },
    {
      verdict: 'info',
      when: (version) => major(version ?? '') < oldestJava,
      say: (version) => `Java ${version} is too old for a Kafka on this machine, which needs ${oldestJava}.`
    },
    { verdict: 'pass', say: (version) => `Java ${version}.` }
  ]
})

/** As it says it itself, on stderr: `openjdk version "17.0.12" …`; null: there is none. */
async function javaVersion(): Promise<string | null> {
  try {
    const { stdout, stderr } = await promisify(execFile)('java', ['-version'], { timeout: 8000 })
    return /version "([^"]+)"/.exec(stderr + stdout)?.[1] ?? null
  } catch {
    return null
  }
}

interface SeenName {
  readonly name: string
  readonly addresses: readonly string[]
  readonly loopback: boolean
}

export const hostNameCheck = defineCheck<string, SeenName>({
  id: 'preflight.host-name',
  title: 'Name of this host',
  deadlineMs: 10_000,
  fix: 'Look at the name servers of this machine (/etc/resolv.conf).',
  observe: async () => {
    const name = hostname()
    const place = await placeOf(name)
    return { name, addresses: place?.addresses ?? [], loopback: place?.loopback ?? false }
  },
  outcomes: [
    {
      verdict: 'warn',
      when: ({ addresses }) => addresses.length === 0,
      say: ({ name }) => `${name} does not resolve by DNS or /etc/hosts.`,
      fix: ({ name }) =>
        `Add ${name} to DNS, or to /etc/hosts: services are reached by name, and certificates name it.`,
      guide: 'Guide: KMS Host Address'
    },
    {
      verdict: 'info',
      when: ({ loopback }) => loopback,
      say: ({ name, addresses }) =>
        `${name} is ${addresses.join(', ')} here: other machines need a name that leads to this one.`
    },
    { verdict: 'pass', say: ({ name, addresses }) => `${name} is ${addresses.join(', ')}.` }
  ]
})
