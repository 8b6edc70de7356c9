/** `keyscaler token`: bearer tokens for scripts, made where the state folder is, without the one-time code. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import { createToken, listTokens, revokeToken, type TokenScope, tokenScopes } from '../web/api/tokens.ts'
import { ending, say, usageError } from './console.ts'
import { printedOnce } from './lost-output.ts'

interface StateFlag {
  readonly state: string
}

export function registerToken(program: Command, defaultState: string): void {
  const token = program.command('token').description('Bearer tokens for scripts: each has a scope and an end.')
  const command = (name: string, description: string) =>
    token.command(name).description(description).option('--state <folder>', 'state folder of the install', defaultState)

  command('create', 'Prints a new token, once: only its hash is kept.')
    .addOption(
      token
        .createOption('--scope <scope>', 'read: what GET tells; setup: everything')
        .choices([...tokenScopes])
        .makeOptionMandatory()
    )
    .option('--expires <time>', 'how long it is good: 30m, 8h or 7d, at most 30d', '1h')
    .action((flags: StateFlag & { readonly scope: TokenScope; readonly expires: string }) =>
      ending(async () => {
        const stateDir = installIn(flags.state)
        const made = await createToken(stateDir, flags.scope, lifeFrom(flags.expires))
        if (!(await printedOnce(`${made.token}\n`))) {
          await revokeToken(stateDir, made.id)
          throw new AppError('internal', `Nobody could read the token ${made.id}: it was revoked at once.`, {
            cure: 'Print it where there is room, and somebody reads.'
          })
        }
        say(`Good for ${flags.scope} until ${made.expiresAt}. To take it away: keyscaler token revoke ${made.id}`)
      })
    )

  command('list', 'The tokens that are good now; never a token itself.')
    .addOption(token.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((flags: StateFlag & { readonly output: 'text' | 'json' }) =>
      ending(async () => {
        const tokens = await listTokens(installIn(flags.state))
        const lines = tokens.map(({ id, scope, expiresAt }) => `${id}  ${scope.padEnd(5)}  until ${expiresAt}\n`)
        process.stdout.write(flags.output === 'json' ? `${JSON.stringify(tokens)}\n` : lines.join(''))
      })
    )

  command('revoke <id>', 'Ends a token at once.').action((id: string, flags: StateFlag) =>
    ending(async () => {
      await revokeToken(installIn(flags.state), id)
      say(`Revoked ${id}.`)
    })
  )
}

/** A token for a folder that is mistyped would open nothing. @throws AppError not-found */
function installIn(folder: string): string {
  const stateDir = resolve(folder)
  if (existsSync(join(stateDir, 'boot.json'))) return stateDir
  throw new AppError('not-found', `There is no install in ${stateDir}.`, {
    cure: 'Start the wizard first (keyscaler serve), or name its state folder: --state <folder>.'
  })
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @throws AppError invalid-input */
function lifeFrom(typed: string): number {
  const [, count, unit] = /^([1-9]\d{0,4})([mhd])$/.exec(typed) ?? []
  if (unit === 'm' || unit === 'h' || unit === 'd') return Number(count) * unitMs[unit]
  throw usageError(`--expires takes minutes, hours or days (30m, 8h, 7d), not ${typed}.`)
}
