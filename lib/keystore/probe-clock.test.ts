import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { ProbeClock, stepDeadlineMs } from './probe-clock.ts'
import { gemaltoSafenet } from './profiles/gemalto-safenet.ts'

describe('the deadlines of a probe', () => {
  it('let a Luna client give a call up by itself, after 20 s, before we do', () => {
    const whole = gemaltoSafenet.deadlineMs('/usr/safenet/lunaclient/lib/libCryptoki2_64.so')
    for (const step of ['initialize', 'slots', 'mechanisms', 'session', 'login', 'aes-gcm'] as const) {
      const ms = stepDeadlineMs(step, whole)
      assert.ok(ms > 20_000 && ms < whole, `${step}: ${ms}`)
    }
  })

  it('are one a step and one for the whole, and stand still while others are waited for', (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => mock.timers.reset())
    const late: number[] = []
    const clock = new ProbeClock(1000, (ms) => late.push(ms))
    clock.enter('load')
    mock.timers.tick(499)
    clock.enter('login')
    mock.timers.tick(1)
    clock.pause()
    mock.timers.tick(5000)
    assert.deepEqual(late, [])
    clock.resume()
    clock.enter('finalize')
    mock.timers.tick(300)
    assert.deepEqual(late, [300])
    clock.stop()
  })
})
