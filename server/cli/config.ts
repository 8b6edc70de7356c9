/** `keyscaler config`: the answers file to begin with, its schema, what is wrong with one, and the one of an install. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { type AnswersFile, readAnswersFile } from '../install/answers-file.ts'
import { answersSchema } from '../install/answers-schema.ts'
import { answersTemplate } from '../install/answers-template.ts'
import { hasInstall } from '../install/boot-file.ts'
import { checkAnswers } from '../install/check-answers.ts'
import { exportAnswers } from '../install/export-answers.ts'
import { openInstall } from '../install/install.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { ending, say } from './console.ts'
import { alreadyTold, tellingProblems } from './json-problem.ts'

interface ValidateFlags {
  readonly state: string
  readonly live: boolean
  readonly output: 'text' | 'json'
}

export function registerConfig(program: Command, defaultState: string): void {
  const config = program.command('config').description('The answers file for unattended installs.')
  config
    .command('defaults')
    .description('Prints an answers file to begin with.')
    .action(() => {
      process.stdout.write(answersTemplate(steps))
    })
  config
    .command('schema')
    .description('Prints the JSON Schema of the answers file.')
    .action(() => {
      process.stdout.write(`${JSON.stringify(answersSchema(steps), null, 2)}\n`)
    })
  config
    .command('export')
    .description('Prints the answers file that reproduces an install, without its secrets.')
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--secrets-in <folder>', 'name every secret as a file <step>-<field> in this folder, for an empty machine')
    .action((flags: ExportFlags) => ending(() => exportInstall(flags)))
  config
    .command('validate <answers>')
    .description('Says what is wrong with an answers file; changes nothing.')
    .option('--live', 'run the checks against database, key store, memcached and Kafka too', false)
    .option('--state <folder>', 'state folder of the install to be: --live counts logins there', defaultState)
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((answers: string, flags: ValidateFlags) =>
      ending(() => tellingProblems(flags.output, () => validate(answers, flags), { valid: false }))
    )
}

interface ExportFlags {
  readonly state: string
  readonly secretsIn?: string
}

/** Works while `serve` runs: it only reads. */
async function exportInstall({ state, secretsIn }: ExportFlags): Promise<void> {
  const stateDir = resolve(state)
  if (!(await hasInstall(stateDir))) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name its state folder: --state.' })
  }
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    const ground = { stateDir, steps, answers: await install.answers() }
    process.stdout.write(exportAnswers(ground, secretsIn === undefined ? undefined : resolve(secretsIn)))
  } finally {
    await install.close()
  }
}

async function validate(path: string, { state, live, output }: ValidateFlags): Promise<void> {
  const file = await readAnswersFile(path, steps, { whole: true })
  if (!live) {
    if (output === 'json') process.stdout.write(`${JSON.stringify({ valid: true })}\n`)
    return say(`${path} is complete.`)
  }
  await validateLive(path, file, resolve(state), output)
}

async function validateLive(path: string, file: AnswersFile, stateDir: string, output: 'text' | 'json'): Promise<void> {
  const text = output === 'text'
  const checked = await checkAnswers(file, steps, stateDir, {
    begin: (title) => text && say(`${title} …`),
    finding: ({ verdict, say: words, cure }) => {
      if (!text || verdict === 'skip') return
      say(`  ${verdict.padEnd(5)} ${words}`)
      if (cure !== undefined && verdict !== 'pass') say(`        ${cure}`)
    }
  })
  const all = checked.flatMap(({ findings }) => findings)
  const failed = all.filter(({ verdict }) => verdict === 'fail')
  const warned = all.filter(({ verdict }) => verdict === 'warn')
  const refused = failed.length > 0 || (warned.length > 0 && !file.continueAnyway)
  if (!text) process.stdout.write(`${JSON.stringify({ valid: !refused, steps: checked })}\n`)
  if (!refused) return say(`${path} passed ${all.length} live checks.`)
  const refusal = new AppError('check-failed', `${path}: ${failed.length} checks failed, ${warned.length} warn.`, {
    cure: failed.length > 0 ? 'Mend what failed, then run this again.' : 'Mend it, or set continueAnyway: true.'
  })
  throw text ? refusal : alreadyTold(refusal)
}
