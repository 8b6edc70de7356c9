/** A password for a command: from a file, from a terminal without echo, or from a pipe. Never from argv or environment. */
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'

const mostBytes = 4096

export interface PasswordSource {
  /** Path of a file (--password-file), which only its owner may read. */
  readonly file?: string | undefined
  /** Said before typing, without the colon, e.g. "Crypto Officer password of HSMoDnFIPS". */
  readonly prompt: string
  /** How it was called, for messages: "--password-file" by default. */
  readonly option?: string | undefined
}

/**
 * One line: what stands before the first line end.
 * @throws AppError invalid-input when none is given, or others may read the file
 */
export async function readPassword({ file, prompt, option = '--password-file' }: PasswordSource): Promise<string> {
  const typed = file === undefined ? await fromInput(prompt) : await fromFile(file)
  const password = typed.split(/\r?\n/, 1)[0] ?? ''
  if (password !== '') return password
  throw new AppError('invalid-input', `No password was given (${prompt}).`, {
    cure: `Type it when asked, give ${option} <file>, or pipe it in.`
  })
}

async function fromFile(file: string): Promise<string> {
  const text = await readPrivateFile(file).catch((cause: unknown) => {
    const cure = cause instanceof AppError ? cause.cure : undefined
    throw new AppError('invalid-input', messageOf(cause), { cause, ...(cure === undefined ? {} : { cure }) })
  })
  if (text === null) throw new AppError('invalid-input', `There is no ${file}.`)
  return text
}

async function fromInput(prompt: string): Promise<string> {
  return process.stdin.isTTY ? await fromTerminal(prompt) : await readPiped('The password', mostBytes)
}

/** All of stdin. @throws AppError invalid-input past `most` bytes */
export async function readPiped(what: string, most: number): Promise<string> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of process.stdin) {
    pieces.push(Buffer.from(piece))
    length += piece.length
    if (length > most) throw new AppError('invalid-input', `${what} is longer than ${most} bytes.`)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** Raw mode, so that nothing is echoed; Ctrl-C ends the command as a shell has it. */
function fromTerminal(prompt: string): Promise<string> {
  const { stdin } = process
  // First the silence, then the question: who types at once would be shown.
  stdin.setRawMode(true)
  process.stderr.write(`${prompt}: `)
  stdin.setEncoding('utf8')
  let typed = ''
  return new Promise((resolve) => {
    const end = (answer: string | null): void => {
      stdin.off('data', read)
      stdin.setRawMode(false)
      stdin.pause()
      process.stderr.write('\n')
      if (answer === null) process.exit(130)
      resolve(answer)
    }
    const read = (text: string): void => {
      for (const key of text) {
        if (ends.includes(key)) {
          end(key === '\x03' ? null : typed)
          return
        }
        typed = edited(typed, key)
      }
    }
    stdin.on('data', read)
    stdin.resume()
  })
}

/** Enter, Ctrl-D and Ctrl-C. */
const ends = ['\r', '\n', '\x04', '\x03']

/** Backspace takes a character away, Ctrl-U all; other control keys do nothing. */
function edited(typed: string, key: string): string {
  if (key === '\x7f' || key === '\b') return [...typed].slice(0, -1).join('')
  if (key === '\x15') return ''
  return key >= ' ' && Buffer.byteLength(typed) < mostBytes ? typed + key : typed
}
