/**
 * P11: `keyscaler apply` on an empty schema until a device has its certificate by EST, against the sum of what it cannot do
 * without (install-floors.ts); and ten more applies, which find nothing to change, as whole processes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enterControlPanel, registerDevice } from '../sandbox/demo/control-panel.ts'
import { Device } from '../sandbox/demo/device.ts'
import { sharedParts, sharedSandbox } from '../sandbox/testing.ts'
import { type InstallWorld, openInstallWorld } from '../server/testing/world.ts'
import { type Benchmark, median, rateOf } from './benchmark.ts'
import { keysAlone, migrationsAlone, restartAlone, startsAlone } from './install-floors.ts'
import { newToken } from './token.ts'

const secondApplies = 10

export const installBenchmark: Benchmark = {
  title: 'apply on an empty schema to the first device certificate, against the sum of its floors',
  open: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ks-bench-'))
    const [{ mariadb }, token] = await Promise.all([sharedSandbox(sharedParts), newToken(dir)])
    let world: InstallWorld | undefined
    const leave = async () => {
      await world?.close()
      world = undefined
    }
    return {
      end: async () => {
        await leave()
        rmSync(dir, { recursive: true, force: true })
      },
      cases: [
        {
          name: 'apply, its keys in the stand-in partition',
          runs: {
            migrations: async () => perSecond(await migrationsAlone(mariadb)),
            keys: async () => perSecond(await keysAlone(token)),
            apply: async () => {
              await leave()
              world = await openInstallWorld()
              return firstCertificate(world)
            },
            restart: async () => {
              if (world === undefined) throw new Error('nothing is installed')
              return perSecond(await restartAlone(world.stateDir))
            },
            starts: async () => {
              if (world === undefined) throw new Error('nothing is installed')
              const times = await startsAlone(world.stateDir)
              await leave()
              return perSecond(Object.values(times).reduce((sum, ms) => sum + ms, 0))
            }
          },
          ratios: [
            {
              // A floor of 2.0 x and an aim of 1.3 x the sum, as a ratio of rates like all others.
              name: 'sum of floors / apply',
              floor: 1 / 2,
              aim: 1 / 1.3,
              of: (rates) => sumOfTimes(rates, ['migrations', 'keys', 'starts', 'restart']) * rateOf(rates, 'apply')
            },
            {
              name: 'without the restart',
              floor: null,
              aim: null,
              of: (rates) => sumOfTimes(rates, ['migrations', 'keys', 'starts']) * rateOf(rates, 'apply')
            }
          ],
          ours: 'apply',
          limits: [
            { time: 'first certificate', most: 10_000 },
            { time: 'second apply', most: 500 },
            { time: 'slowest of ten', most: 500 }
          ]
        }
      ]
    }
  }
}

function perSecond(ms: number): { readonly rate: number } {
  return { rate: 1000 / ms }
}

/** Seconds of several things, one after the other. */
function sumOfTimes(rates: Readonly<Record<string, number>>, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 1 / rateOf(rates, name), 0)
}

async function firstCertificate(world: InstallWorld) {
  const answers = world.answersFile()
  const began = performance.now()
  const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
  if (code !== 0) throw new Error(`apply ended with ${code}:\n${stderr}`)
  const { services, ca } = JSON.parse(stdout)
  const panel = { address: String(services.cp), ca: readFileSync(ca) }
  const { email, password } = world.answers.account
  const session = await enterControlPanel(panel, { email: String(email), password: String(password) })
  const device = new Device(world.dir, 'device-1', { dae: String(services.dae), ca })
  device.enrol(await registerDevice(panel, session, 'device-1'))
  const ms = performance.now() - began
  device.verify()
  const again: number[] = []
  for (let time = 0; time < secondApplies; time++) again.push(await nothingToChange(world, answers))
  const times = { 'first certificate': ms, 'second apply': median(again), 'slowest of ten': Math.max(...again) }
  return { ...perSecond(ms), times }
}

async function nothingToChange(world: InstallWorld, answers: string): Promise<number> {
  const began = performance.now()
  const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
  const ms = performance.now() - began
  if (code !== 0 || JSON.parse(stdout).changed !== false) throw new Error(`the second apply changed things:\n${stderr}`)
  return ms
}
