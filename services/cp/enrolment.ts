/** The commands with which a device enrols by EST (RFC 7030), for openssl 3 and curl; a test runs them as they are. */

export interface Enrolment {
  /** EST server, for clients that ask for it. */
  readonly server: string
  readonly commands: readonly { readonly id: string; readonly what: string; readonly command: string }[]
}

/** @param deviceName as the DAE accepted it; quoted all the same */
export function enrolment(daeAddress: string, deviceName: string): Enrolment {
  const server = `${new URL(daeAddress).origin}/.well-known/est`
  const file = (ending: string) => quoted(`${deviceName}.${ending}`)
  const commands = [
    {
      id: 'enrol-request',
      what: 'Make the key, which stays on the device, and a request for its certificate:',
      command: [
        `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ${file('key')}`,
        `-subj ${quoted(`/CN=${deviceName}`)} -outform DER | openssl base64 -out ${file('p10')}`
      ]
    },
    {
      id: 'enrol-send',
      what: 'Send it. curl asks for the password: that is the one-time secret, which so is in no command and no history.',
      command: [
        `curl --fail-with-body --cacert service-ca.pem --user ${quoted(deviceName)}`,
        `--header 'Content-Type: application/pkcs10' --data-binary @${file('p10')}`,
        `--output ${file('p7')} ${quoted(`${server}/simpleenroll`)}`
      ]
    },
    {
      id: 'enrol-unpack',
      what: 'Unpack the certificate:',
      command: [`openssl base64 -d -A -in ${file('p7')} | openssl pkcs7 -inform DER -print_certs -out ${file('crt')}`]
    }
  ]
  return { server, commands: commands.map((step) => ({ ...step, command: step.command.join(' \\\n  ') })) }
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[A-Za-z0-9._/:=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
