import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { pidsServing } from './pid-record.ts'

test('a child that has its parent’s arguments is no service of its own while the parent lives: it is about to become another program', async (context) => {
  const configFile = `/run/${process.pid}/kms/config.json`
  // The brackets make the shell fork; what reads there executes nothing, as a process is before its execve.
  const script = "(sh -c 'echo $PPID'; read -r _ <&3); :"
  const service = spawn('/bin/sh', ['-c', script, 'sh', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe']
  })
  const [, words, , kept] = service.stdio
  assert.ok(words instanceof Socket && kept instanceof Socket)
  context.after(() => kept.destroy())
  const child = Number(String((await once(words, 'data'))[0]))
  assert.notEqual(child, service.pid)

  assert.deepEqual(await pidsServing(configFile), [service.pid])

  service.kill('SIGKILL')
  await once(service, 'exit')
  assert.deepEqual(await pidsServing(configFile), [child], 'left behind, it is one')
})
