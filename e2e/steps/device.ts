/** A device that enrols: openssl and curl, by the very commands that the Control Panel shows. */
import { spawn } from 'node:child_process'
import type { Registration } from './control-panel.ts'

/**
 * Runs the commands in the folder, which holds service-ca.pem.
 * @throws Error with what they printed when one fails
 */
export async function enrolDevice(folder: string, { commands, secret }: Registration): Promise<void> {
  for (const command of commands) await shell(folder, command, secret)
}

/**
 * The device's certificate, verified against what /cacerts answers over a verified connection.
 * @param dae address of the DAE
 * @returns subject and issuer, as openssl prints them
 */
export async function verifyDevice(folder: string, dae: string, deviceName: string): Promise<string> {
  await shell(
    folder,
    `curl --silent --show-error --fail --cacert service-ca.pem ${dae}/.well-known/est/cacerts |
     openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out cacerts.pem
     openssl verify -CAfile cacerts.pem ${deviceName}.crt`
  )
  return shell(folder, `openssl x509 -in ${deviceName}.crt -noout -subject -issuer`)
}

/** @param typed what curl asks for: without a terminal (detached) it reads its password from standard input */
async function shell(cwd: string, command: string, typed = ''): Promise<string> {
  const child = spawn('sh', ['-ec', command], { cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (printed += data))
  child.stdin.on('error', () => {})
  child.stdin.end(`${typed}\n`)
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`code ${code} from ${command}\n${printed}`)
  return printed
}
