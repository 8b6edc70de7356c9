/**
 * The thread that verifies for many workers: they share few cores, and it does what it does all the time, so it takes a third of the
 * time that each of them would. Started by agent-threads.ts; nothing else may import this program.
 */
import type { KeyObject } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { AgentAnswers } from './agent-answers.ts'
import { refusal } from './agent-job-answer.ts'
import type { DeskPlace, FromThread, ToThread } from './agent-thread-protocol.ts'
import { KeyForgotten } from './agent-work.ts'
import type { KeyRef } from './keystore.ts'
import { publicKeyObject } from './public-key.ts'
import { SignDesk } from './sign-desk.ts'
import { dataIn } from './sign-frames.ts'
import { verifiedSignature } from './signature.ts'

parentPort?.once('message', (message: ToThread) => {
  if (parentPort !== null && message.kind === 'verify') serve(parentPort, message.place)
})

function serve(port: MessagePort, { desk: memory, thread }: DeskPlace): never {
  const desk = new SignDesk(memory)
  const answers = new AgentAnswers(desk)
  const keys = new Map<number, { readonly ref: KeyRef; readonly publicKey: KeyObject }>()
  flushCompileCache()

  /** Messages are looked at when a key is missing only: they are about keys, and numbers are not used again. */
  function known(number: number) {
    if (!keys.has(number)) obey()
    return keys.get(number)
  }

  function obey(): void {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      const message: ToThread = next.message
      if (message.kind === 'forget') keys.delete(message.key)
      if (message.kind !== 'learn' || message.key.jwk === null) continue
      const { number, ref, jwk } = message.key
      keys.set(number, { ref, publicKey: publicKeyObject(jwk) })
    }
  }

  function release(slot: number): void {
    try {
      const key = known(desk.keyOf(slot))
      if (key === undefined) throw new KeyForgotten()
      const signature = verifiedSignature(key.ref, key.publicKey, dataIn(desk.bodyOf(slot)), desk.signatureOf(slot))
      answers.add(slot, signature)
    } catch (thrown) {
      const { problem, again } = refusal('sign', thrown)
      port.postMessage({ kind: 'unsigned', slot, problem, again } satisfies FromThread)
    }
  }

  for (;;) {
    const seen = desk.wakes(thread)
    for (let slot = desk.takeSigned(); slot !== null; slot = desk.takeSigned()) release(slot)
    answers.flush()
    desk.sleepAsVerifier(seen)
  }
}
