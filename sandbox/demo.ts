#!/usr/bin/env node
/**
 * `npm run demo`: the whole product in one run. Installs unattended in a sandbox of its own, enrols a device with openssl
 * and curl, verifies its chain, reads its event back from Kafka, logs in to the Control Panel, and stops everything. One
 * line a proof, with its time.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { messageOf } from '../lib/errors/app-error.ts'
import { administrator, writeSampleFiles } from './answers.ts'
import { chromiumHere, installByBrowser } from './demo/browser.ts'
import { enterControlPanel, registerDevice } from './demo/control-panel.ts'
import { Device } from './demo/device.ts'
import { readEvent } from './demo/event.ts'
import { startSandbox } from './sandbox.ts'
import { startWizard, type Wizard } from './wizard.ts'

interface Installed {
  readonly services: Readonly<Record<'kms' | 'dae' | 'mqs' | 'cp', string>>
  /** Path of the internal CA's certificate. */
  readonly ca: string
}

const deviceName = 'demo-device-1'
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function prove<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  const began = performance.now()
  const result = await work()
  say(`ok   ${what} (${((performance.now() - began) / 1000).toFixed(2)} s)`)
  return result
}

async function demo(): Promise<void> {
  const sandbox = await prove('a sandbox is up: MariaDB, memcached, Kafka, a Luna-like partition', () => startSandbox())
  let wizard: Wizard | undefined
  try {
    const files = await writeSampleFiles(sandbox)
    const began = performance.now()
    const args = ['apply', files.answers, '--state', files.state]
    const running = startWizard(sandbox, args, 'pipe')
    wizard = running
    const { services, ca } = await prove('eleven steps are applied unattended, four services run', () =>
      result(running)
    )
    const password = readFileSync(files.administratorPassword, 'utf8').trim()
    const panel = { address: services.cp, ca: readFileSync(ca) }
    const session = await prove('the first administrator logs in to the Control Panel', () =>
      enterControlPanel(panel, { email: administrator.email, password })
    )
    const secret = await prove(`${deviceName} is registered`, () => registerDevice(panel, session, deviceName))
    const device = new Device(sandbox.dir, deviceName, { dae: services.dae, ca })
    await prove('the device enrols with openssl and curl (EST simpleenroll)', () => device.enrol(secret))
    const toFirstCertificate = (performance.now() - began) / 1000
    await prove('its certificate chains to the CA whose key is in the partition (openssl verify)', () =>
      device.verify()
    )
    await prove(`its event is read back from Kafka (${sandbox.kafka.kind})`, () => readEvent(sandbox.kafka, deviceName))
    say(`     empty schema to first device certificate: ${toFirstCertificate.toFixed(2)} s (floor 10 s, aim 3 s)`)
  } finally {
    wizard?.stop()
    await wizard?.ended
    await sandbox.stop()
  }
  await demoBrowser()
  say('ok   everything is stopped')
}

/** In a sandbox of its own, so that both begin with an empty schema and an empty partition. */
async function demoBrowser(): Promise<void> {
  const executable = chromiumHere()
  if (executable === null)
    return say('skip the same by a headless browser: no Chromium on this machine (npm test brings it)')
  const sandbox = await prove('a second sandbox is up', () => startSandbox())
  try {
    const seconds = await prove('the same answers are entered by a headless browser, and setup is finished', () =>
      installByBrowser(sandbox, executable)
    )
    say(`     the whole wizard in a browser: ${seconds.toFixed(2)} s (floor 20 s, aim 8 s)`)
  } finally {
    await sandbox.stop()
  }
}

/** The one JSON line that `keyscaler apply` prints when all is installed. */
async function result(wizard: Wizard): Promise<Installed> {
  if (wizard.output === null) throw new Error('the output of keyscaler apply is not read')
  for await (const line of createInterface({ input: wizard.output })) return JSON.parse(line) as Installed
  throw new Error(`keyscaler apply ended with ${await wizard.ended} before it was done`)
}

try {
  await demo()
} catch (error) {
  process.stderr.write(`The demo failed: ${messageOf(error)}\n`)
  process.exitCode = 1
}
