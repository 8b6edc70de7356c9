import { resolve } from 'node:path'
import type { Command } from 'commander'
import { openLog } from '../../lib/log/log.ts'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { readAnswersFile, suggestionsFrom } from '../install/answers-file.ts'
import { steps } from '../install/steps.ts'
import { serve } from '../main.ts'
import { isLoopback } from '../web/wizard-tls.ts'
import { askedToEnd, ending, portFrom, printable, say, usageError } from './console.ts'

interface ServeFlags {
  readonly state: string
  readonly host: string
  readonly port?: string
  readonly allowHost: string[]
  readonly tlsCertificate?: string
  readonly tlsKey?: string
  readonly suggestions?: string
  readonly logLevel: string
}

export function registerServe(program: Command, defaultState: string): void {
  program
    .command('serve')
    .description('Serves the setup wizard, and supervises what it deployed.')
    .option('--state <folder>', 'where boot file, credentials, logs and run files are', defaultState)
    .option('--host <address>', 'address to listen on; any but loopback speaks TLS', '127.0.0.1')
    .option('--port <number>', 'port (8080 on loopback, 8443 elsewhere)')
    .option('--allow-host <name...>', 'further host names that browsers may use', [])
    .option('--tls-certificate <file>', 'PEM; without it one is made, and its fingerprint printed')
    .option('--tls-key <file>', 'PEM')
    .option('--suggestions <file>', 'answers file whose values (no secrets) stand in the fields at first')
    .option('--log-level <level>', 'debug, info, warn or error', 'warn')
    .action((flags: ServeFlags) => ending(() => runServe(flags)))
}

async function runServe(flags: ServeFlags): Promise<void> {
  const { tlsCertificate: certificate, tlsKey: key } = flags
  if ((certificate === undefined) !== (key === undefined)) {
    throw usageError('Give --tls-certificate and --tls-key together.')
  }
  const port = portFrom(flags.port ?? (isLoopback(flags.host) && certificate === undefined ? '8080' : '8443'))
  const suggestions =
    flags.suggestions === undefined ? {} : suggestionsFrom(await readAnswersFile(flags.suggestions, steps), steps)
  const wizard = await serve({
    stateDir: resolve(flags.state),
    host: flags.host,
    port,
    allowedHosts: flags.allowHost,
    ...(certificate === undefined || key === undefined ? {} : { tls: { certificate, key } }),
    suggestions,
    log: openLog('wizard', flags.logLevel),
    say: (line) => process.stdout.write(`${printable(line)}\n`)
  })
  await Promise.race([askedToEnd(), new Promise<void>((ended) => watchLifeline(ended))])
  say('Stopping.')
  await wizard.close(true)
  process.exit(0)
}
