import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { atEnd } from '../testing/test-file.ts'

const program = join(import.meta.dirname, 'main.ts')

function start(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [program, ...args, '--config', '/nowhere'], {
    stdio: ['pipe', 'ignore', 'ignore']
  })
  atEnd(async () => void child.kill('SIGKILL'))
  return child
}

/** Empty when it is gone, or is only waiting to be reaped. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

/** The process of its hsm-agent, as soon as it has one. */
async function agentOf(kms: ChildProcess): Promise<string> {
  for (;;) {
    const children = readFileSync(`/proc/${kms.pid}/task/${kms.pid}/children`, 'latin1').trim().split(' ')
    const agent = children.find((pid) => commandOf(pid).includes('lib/keystore/agent.ts'))
    if (agent !== undefined) return agent
    await pause(10)
  }
}

async function gone(pid: string): Promise<void> {
  while (commandOf(pid) !== '') await pause(10)
}

test('a KMS that waits for its word has an agent that waits with it, and is killed with it', {
  timeout: 20_000
}, async () => {
  const kms = start('--standby')
  const agent = await agentOf(kms)
  kms.kill('SIGKILL')
  await gone(agent)
})

test('when nobody is left to give the word both end by themselves', { timeout: 20_000 }, async () => {
  const kms = start('--standby')
  const agent = await agentOf(kms)
  kms.stdin?.end()
  const [code] = await once(kms, 'exit')
  assert.equal(code, 0)
  await gone(agent)
})
