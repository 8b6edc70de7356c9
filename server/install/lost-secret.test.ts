/** A password that was typed, kept in a file, and is gone when a failed step is gone on with: who is asked for it, and where. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { defineStep } from '../steps/define-step.ts'
import { openInstall } from './install.ts'
import { beginSubmit, retryJob } from './jobs/begin.ts'

const asker = { actor: 'script' }
const plainly = { continueAnyway: false }

/** A step that failed once, whose password was kept, and was taken from its folder since. */
async function failedWithoutPassword(context: TestContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'ks-lost-'))
  const target = processTarget({ stateDir, lifelineFd: null })
  context.after(async () => {
    await target.stop()
    await rm(stateDir, { recursive: true, maxRetries: 10 })
  })
  const applied: string[] = []
  const step = defineStep({
    id: 'database',
    title: 'Database Configuration',
    intro: '',
    answers: z.strictObject({ dbPassword: z.string().min(1) }),
    fields: { dbPassword: { label: 'Database Password', control: 'password', secret: true } },
    checks: async () => [],
    makesStale: [],
    plan: () => [],
    apply:
      async () =>
      async ({ dbPassword }) => {
        applied.push(dbPassword)
        throw new AppError('deploy-failed', 'The disk is full.')
      }
  })
  const install = await openInstall({ stateDir, steps: [step], target })
  const { id, result } = beginSubmit(install, 'database', { dbPassword: 'typed once' }, plainly, asker)
  await result
  await rm(join(stateDir, 'credentials', 'database-dbPassword'))
  return { install, id, applied }
}

test('Retry says what is missing, in which step to type it again, and where that is', async (context) => {
  const { install, id, applied } = await failedWithoutPassword(context)
  const { id: again, result } = await retryJob(install, id, asker)
  await result
  const job = (await install.jobs.find(again))?.document()
  assert.equal(
    job?.problem?.detail,
    'What was typed as dbPassword is not kept any more: credentials/database-dbPassword is missing.'
  )
  assert.match(
    job?.problem?.cure ?? '',
    /^Type it again .*steps\.database\.dbPassword.* in step 2: \/setup\/steps\/database$/
  )
  assert.deepEqual([job?.step, applied], ['database', ['typed once']])
})

test('a field that is left empty to keep what is gone asks for it, and typed again it goes on', async (context) => {
  const { install, applied } = await failedWithoutPassword(context)
  const empty = await install.admit('database', { dbPassword: '' })
  assert.deepEqual(empty, { dbPassword: 'Database Password is not kept any more: type it again.' })
  await beginSubmit(install, 'database', { dbPassword: 'typed again' }, plainly, asker).result
  assert.deepEqual(applied, ['typed once', 'typed again'])
})
