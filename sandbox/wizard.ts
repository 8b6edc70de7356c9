/** The wizard as a child of the sandbox: it and the services it deploys end when the sandbox does, however it ends. */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fromRoot } from './root.ts'
import type { Sandbox } from './sandbox.ts'

/** Services have 10 s each for a clean stop, and stop together. */
const stopWithinMs = 20_000

export interface Wizard {
  readonly pid: number | undefined
  /** What it prints on stdout; null when it prints where we do. */
  readonly output: Readable | null
  /** Its exit code; a signal that ended it counts as failure. */
  readonly ended: Promise<number>
  /** Asks it to stop itself and its services; one that is stuck is killed, and its services with it by the lifeline. */
  readonly stop: () => void
}

/** @param args of `keyscaler` @param stdout `pipe`: read here, instead of printed where we print */
export function startWizard(sandbox: Sandbox, args: readonly string[], stdout: 'inherit' | 'pipe' = 'inherit'): Wizard {
  const program = [process.execPath, fromRoot('server/cli.mjs'), ...args]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...program], {
    // Its descriptor 3 is the lifeline: services inherit it and end at its end of file, which comes when we are gone.
    stdio: ['ignore', stdout, 'inherit', 'pipe'],
    env: {
      ...process.env,
      KEYSCALER_LIFELINE_FD: '3',
      KEYSCALER_SANDBOX_KAFKA: sandbox.kafka.kind,
      ChrystokiConfigurationPath: sandbox.luna.confPath
    },
    // Ctrl-C reaches us alone; we pass it on once.
    detached: true
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
  const stop = (): void => {
    child.kill('SIGTERM')
    const hard = setTimeout(() => child.kill('SIGKILL'), stopWithinMs)
    child.once('exit', () => clearTimeout(hard))
  }
  return { pid: child.pid, output: child.stdout, ended, stop }
}
