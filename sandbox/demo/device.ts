/** A device as the guide's reader would try one: openssl makes key and request, curl speaks EST. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

export class Device {
  readonly #folder: string
  readonly #name: string
  readonly #install: { readonly dae: string; readonly ca: string }

  constructor(dir: string, name: string, install: { readonly dae: string; readonly ca: string }) {
    this.#folder = join(dir, name)
    this.#name = name
    this.#install = install
    mkdirSync(this.#folder, { mode: 0o700 })
  }

  /** @param secret one-time; goes to curl on its standard input, never into its arguments. Throws what the tools said. */
  enrol(secret: string): void {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'device.key']
    this.#run('openssl', ['req', '-new', ...key, '-subj', `/CN=${this.#name}`, '-outform', 'DER', '-out', 'device.der'])
    this.#run('openssl', ['base64', '-in', 'device.der', '-out', 'device.p10'])
    const post = ['-H', 'Content-Type: application/pkcs10', '--data-binary', '@device.p10', '-o', 'device.b64']
    this.#run(
      'curl',
      [...this.#curl, '--config', '-', ...post, this.#est('simpleenroll')],
      `user = "${this.#name}:${secret}"\n`
    )
    this.#certificates('device.b64', 'device.crt')
  }

  /** @throws Error with openssl's words when the chain does not verify, or names another device */
  verify(): void {
    this.#run('curl', [...this.#curl, '-o', 'ca.b64', this.#est('cacerts')])
    this.#certificates('ca.b64', 'ca.crt')
    this.#run('openssl', ['verify', '-x509_strict', '-CAfile', 'ca.crt', 'device.crt'])
    const subject = this.#run('openssl', ['x509', '-in', 'device.crt', '-noout', '-subject', '-nameopt', 'RFC2253'])
    if (subject.trim() !== `subject=CN=${this.#name}`) throw new Error(`the certificate is for ${subject}`)
  }

  get #curl(): string[] {
    return ['--silent', '--show-error', '--fail-with-body', '--max-time', '20', '--cacert', this.#install.ca]
  }

  #est(operation: string): string {
    return `${this.#install.dae}/.well-known/est/${operation}`
  }

  #certificates(base64: string, pem: string): void {
    this.#run('openssl', ['base64', '-d', '-A', '-in', base64, '-out', `${base64}.der`])
    this.#run('openssl', ['pkcs7', '-inform', 'DER', '-in', `${base64}.der`, '-print_certs', '-out', pem])
  }

  #run(tool: string, args: readonly string[], input = ''): string {
    const done = spawnSync(tool, args, { cwd: this.#folder, input, encoding: 'utf8', timeout: 30_000 })
    if (done.status !== 0) throw new Error(`${tool} ${args[0]}: ${done.error?.message ?? done.stderr}${done.stdout}`)
    return done.stdout
  }
}
