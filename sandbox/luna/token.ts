/** A partition of one's own: a folder that holds a SoftHSM token, and the configuration that makes it look like Luna. */
import { fork } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { buildLuna } from './build.mjs'
import type { InitialiseAnswer, InitialiseOrder } from './initialise.ts'
import { adoptLunaState, freshState, makeLunaState, setLunaState } from './state.ts'

/** Everything an administrator has to type, PIN apart. */
export interface LunaToken {
  /** The PKCS#11 library. */
  readonly module: string
  /** The folder of Chrystoki.conf: goes into ChrystokiConfigurationPath of the process that loads the module. */
  readonly confPath: string
  readonly slot: number
  readonly label: string
  /** 13 digits, kept for the life of the folder. */
  readonly serial: string
}

export interface LunaSecrets {
  /** Of the Crypto Officer; 7 characters or more, like `soPin`. */
  readonly pin: string
  /** Of the Partition SO. */
  readonly soPin: string
  /** Leave `pin` in its initial state: login works, the first operation answers CKR_PIN_EXPIRED until C_SetPIN. */
  readonly initialPin?: boolean
}

const root = resolve(import.meta.dirname, '../..')
const label = 'HSMoDnFIPS'
const softHsmLibraries = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm.so'
]

/**
 * Makes the partition in `dir`, or adopts the one that is there: its PIN and serial stay, and `secrets` is not looked
 * at, since asking would cost a login. A folder left half made by a killed run is made anew. One caller a folder.
 * @throws Error when the library does not compile, SoftHSM is missing, or a PIN is refused.
 */
export async function createLunaToken(dir: string, secrets: LunaSecrets): Promise<LunaToken> {
  const confPath = resolve(dir)
  const module = buildLuna(root)
  const card = join(confPath, 'partition.json') // written last: its presence says that the rest is complete
  const serial = await readFile(card, 'utf8').then(
    (text) => String(JSON.parse(text).serial),
    () => null
  )
  if (serial !== null) {
    await writeConf(confPath, module, serial) // the library may have moved with the repository
    await adoptLunaState(confPath)
    return { module, confPath, slot: freshState.slot, label, serial }
  }

  const made = `${randomInt(1, 10)}${String(randomInt(10 ** 12)).padStart(12, '0')}`
  await rm(join(confPath, 'tokens'), { recursive: true, force: true })
  await mkdir(join(confPath, 'tokens'), { recursive: true, mode: 0o700 })
  await makeLunaState(confPath)
  await writeConf(confPath, module, made)
  await initialise(confPath, {
    module,
    label,
    pin: secrets.pin,
    soPin: secrets.soPin,
    initialPin: !!secrets.initialPin
  })
  await setLunaState(confPath, { logins: 0, soLogins: 0 }) // what making it took is not the owner's
  await writeWhole(card, JSON.stringify({ serial: made, label }))
  return { module, confPath, slot: freshState.slot, label, serial: made }
}

async function writeConf(dir: string, module: string, serial: string): Promise<void> {
  if (/[;{}=\n]/.test(dir)) throw new Error('Chrystoki.conf cannot name a folder with ; { } = in its path')
  const library = await firstThere(softHsmLibraries)
  const softHsmConf = join(dir, 'softhsm2.conf')
  await writeWhole(
    softHsmConf,
    `directories.tokendir = ${join(dir, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`
  )
  await writeWhole(
    join(dir, 'Chrystoki.conf'),
    `Chrystoki2 = {\n  LibUNIX64 = ${module};\n}\nStandIn = {\n  SoftHsmLibrary = ${library};\n` +
      `  SoftHsmConf = ${softHsmConf};\n  TokenFolder = ${join(dir, 'tokens')};\n  State = ${join(dir, 'state')};\n  Serial = ${serial};\n}\n`
  )
}

async function initialise(confPath: string, order: InitialiseOrder): Promise<void> {
  const child = fork(join(import.meta.dirname, 'initialise.ts'), [], {
    env: { PATH: process.env.PATH, ChrystokiConfigurationPath: confPath },
    execArgv: [],
    timeout: 30_000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc']
  })
  const problem = new Promise<string | null>((done) => {
    child.once('message', (answer: InitialiseAnswer) => done(answer.problem))
    child.once('exit', (code, signal) => done(`the child ended without an answer (${signal ?? code})`))
    child.once('error', (error) => done(error.message))
  })
  child.send(order)
  const said = await problem
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  if (said !== null) throw new Error(`the partition in ${confPath} could not be initialised: ${said}`)
}

async function firstThere(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const found = await access(path).then(
      () => true,
      () => false
    )
    if (found) return path
  }
  throw new Error(`SoftHSM is not installed (looked for ${paths.join(', ')}; Debian package softhsm2)`)
}

/** A reader sees the old text or the new one, never half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
