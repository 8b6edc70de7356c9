/**
 * Takes away what `keyscaler prerequisites` made in the database server for an install: its account, and its database when
 * nothing is in it. Only what a note says was made here; what must stay is told with the reason.
 */
import { rm } from 'node:fs/promises'
import { readPrivateFile, writePrivateFile } from '../../../lib/config/private-file.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Commands } from './commands.ts'
import { keptIn, madeHere, schema, user } from './kept-database.ts'

export interface PrerequisiteGone {
  readonly kind: 'prerequisite'
  readonly name: string
  readonly outcome: 'removed' | { readonly left: string }
}

/** Run again after a kill it goes on: what is gone is gone. Never throws for what the server says. */
export async function undoPrerequisites(stateDir: string, commands: Commands): Promise<readonly PrerequisiteGone[]> {
  const kept = keptIn(stateDir)
  const items: PrerequisiteGone[] = []
  const password = await readPrivateFile(kept.user)
  const made = await madeHere(stateDir)
  if (password !== null) {
    const outcome = await undoAccount({ stateDir, commands, password: password.trimEnd(), made })
    items.push({ kind: 'prerequisite', name: `database account ${user}`, outcome })
    if (outcome === 'removed') {
      await rm(kept.user, { force: true })
      await rm(kept.made, { force: true })
    }
  }
  if ((await readPrivateFile(kept.root)) !== null) {
    const left = `the password that was made for the database server's root, nowhere else kept: take it over, then remove ${kept.root}`
    items.push({ kind: 'prerequisite', name: 'database root password', outcome: { left } })
  }
  if (items.every(({ outcome }) => outcome === 'removed')) await rm(kept.folder, { recursive: true, force: true })
  return items
}

interface Account {
  readonly stateDir: string
  readonly commands: Commands
  readonly password: string
  readonly made: Awaited<ReturnType<typeof madeHere>>
}

async function undoAccount({ stateDir, commands, password, made }: Account): Promise<PrerequisiteGone['outcome']> {
  const where = keptIn(stateDir)
  const byHand = `take it away as an administrator of the database (its password is in ${where.user})`
  if (made === null || made.hosts.length === 0) return { left: `nothing here says that it was made here: ${byHand}` }
  await writePrivateFile(where.account, `[client]\npassword="${password}"\n`)
  try {
    const ask = await asAccount(commands, where.account)
    const tables = await ask(`SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '${schema}';`)
    if (Number(tables) > 0) return { left: `${tables.trim()} tables are in the database ${schema}: ${byHand}` }
    // The account may drop itself: it may make and drop users, and its session lives on.
    if (made.schema) await ask(`DROP DATABASE IF EXISTS \`${schema}\`;`)
    await ask(`DROP USER IF EXISTS ${made.hosts.map((host) => `'${user}'@'${host}'`).join(', ')};`)
    return 'removed'
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown
    return { left: `${thrown.message}: ${byHand}` }
  } finally {
    await rm(where.account, { force: true })
  }
}

async function asAccount(commands: Commands, file: string): Promise<(sql: string) => Promise<string>> {
  const client = (await commands.find('mariadb')) === null ? 'mysql' : 'mariadb'
  const rest = [`--user=${user}`, '--protocol=socket', '--batch', '--skip-column-names']
  return async (sql) => {
    const ran = await commands.run([client, `--defaults-extra-file=${file}`, ...rest], sql)
    if (ran.code !== 0) throw new AppError('deploy-failed', ran.words.split('\n').at(-1) ?? '')
    return ran.stdout
  }
}
