/**
 * `keyscaler serve` as a child whose console is read. It dies with us (setpriv), and what it deployed reads the end of
 * its lifeline then; a wizard that is killed alone leaves its services running, for the next one to adopt.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fromRoot } from '../../sandbox/root.ts'

export interface WizardOrder {
  readonly stateDir: string
  /** Folder of the partition's Chrystoki.conf. */
  readonly confPath: string
  /** HOME of the wizard and its services: marks every process of this install (processes.ts). */
  readonly home: string
  readonly port: number
  readonly kafka: 'apache' | 'mock'
}

export interface RunningWizard {
  readonly url: string
  /** The one-time code; empty when setup is locked. */
  readonly code: string
  /** Everything that it printed, on both channels. */
  readonly printed: () => string
  /** SIGTERM: it stops its services first. @returns its exit code */
  readonly stop: () => Promise<number | null>
  /** SIGKILL, to it alone. */
  readonly kill: () => Promise<void>
}

const startWithinMs = 20_000

/** @throws Error with what it printed when it does not come up */
export async function startWizard(order: WizardOrder): Promise<RunningWizard> {
  const { stateDir, confPath, home, port, kafka } = order
  const program = [process.execPath, fromRoot('server/cli.mjs'), 'serve', '--state', stateDir, '--port', String(port)]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...program], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HOME: home,
      KEYSCALER_LIFELINE_FD: '3',
      KEYSCALER_SANDBOX_KAFKA: kafka,
      ChrystokiConfigurationPath: confPath
    }
  })
  const lines: string[] = []
  const exited = once(child, 'exit')
  const announced = linesOf(child, lines)
  const gone = exited.then(() => Promise.reject(new Error('the wizard ended')))
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`the wizard said nothing for ${startWithinMs} ms`)), startWithinMs).unref()
  })
  const { url, code } = await Promise.race([announced, gone, late]).catch((error) => {
    child.kill('SIGKILL')
    throw new Error(`${error.message}\n${lines.join('\n')}`)
  })
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    url,
    code,
    printed: () => lines.join('\n'),
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL'))
  }
}

/** Address and code, as they come on the console. */
function linesOf(child: ChildProcess, lines: string[]): Promise<{ url: string; code: string }> {
  return new Promise((resolve) => {
    let url = ''
    const read = (line: string): void => {
      lines.push(line)
      const [, open, locked] = /^Setup wizard: (\S+)$|^Setup is finished and locked; status: (\S+)$/.exec(line) ?? []
      const code = /^Setup code:\s+(\S+)$/.exec(line)?.[1]
      if (open !== undefined) url = open
      if (locked !== undefined) resolve({ url: locked, code: '' })
      if (code !== undefined) resolve({ url, code })
    }
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', read)
  })
}
