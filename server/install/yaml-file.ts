/**
 * A YAML file that a person wrote: every problem with its place, and never with the file's own words, which may be a
 * password that was meant to stand in quotes.
 */
import { readFile, stat } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type YAMLError } from 'yaml'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { RefusedFile } from './refused-file.ts'

export interface YamlFile {
  readonly value: unknown
  /** "file:line:column" of a key; of the nearest one above it when it is not there. */
  readonly placeOf: (keys: readonly PropertyKey[]) => string
}

/** Their messages quote nothing of the file. */
const harmless: readonly YAMLError['code'][] = [
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'DUPLICATE_KEY',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'NON_STRING_KEY',
  'TAB_AS_INDENT'
]
const notYaml = 'This is not plain YAML. A value that begins with * & ! % @ or a quote must stand in quotes.'

/** Where a file that is named `-` is read from. */
export function openedAs(path: string): string {
  return path === '-' ? '/dev/stdin' : path
}

/** What a shell gives by `<(…)`; another FIFO or device may never end, and nobody would know why nothing happens. */
const inherited = /^\/dev\/fd\/\d+$|^\/proc\/self\/fd\/\d+$/

async function readText(path: string): Promise<string> {
  const opened = openedAs(path)
  try {
    // Not opened by its name: the pipe of a Node program is a socket, which cannot be.
    if (opened === '/dev/stdin') return await text(process.stdin)
    if (!inherited.test(opened) && !(await stat(opened)).isFile()) throw new Error('it is not a file.')
    return await readFile(opened, 'utf8')
  } catch (cause) {
    throw new AppError('invalid-input', `${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** @param path `-` or /dev/stdin: standard input. @throws AppError invalid-input; RefusedFile where something in it is wrong */
export async function readYamlFile(path: string): Promise<YamlFile> {
  const written = await readText(path)
  const lines = new LineCounter()
  const document = parseDocument(written, { lineCounter: lines, stringKeys: true, logLevel: 'error' })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${path}:${line}:${col}`
  }
  const refuse = (offset: number, why: string): never => {
    throw new RefusedFile([{ pointer: null, place: at(offset), why }])
  }
  const [broken] = [...document.errors, ...document.warnings]
  if (broken !== undefined) refuse(broken.pos[0], words(broken))
  visit(document, {
    Alias: (_key, { range }) => refuse(range?.[0] ?? 0, notYaml),
    // An object's own prototype would swallow it.
    Pair: (_key, { key }) => {
      if (isScalar(key) && key.value === '__proto__') refuse(key.range?.[0] ?? 0, 'There is nothing named __proto__.')
    }
  })
  return {
    value: document.toJS(),
    placeOf: (keys) => {
      let node: unknown = document.contents
      let offset = 0
      for (const wanted of keys) {
        const item = isSeq(node) && typeof wanted === 'number' ? node.items[wanted] : undefined
        if (isNode(item)) {
          offset = item.range?.[0] ?? offset
          node = item
          continue
        }
        const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === wanted) : undefined
        if (pair === undefined || !isScalar(pair.key)) break
        offset = pair.key.range?.[0] ?? offset
        node = pair.value
      }
      return at(offset)
    }
  }
}

function words({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'The file holds more than one document.'
  if (!harmless.includes(code)) return notYaml
  return `${message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')}.`
}
