/**
 * The last rows of a terminal, drawn over and over in place. Each picture goes out in one write and leaves the cursor where
 * a shell would go on, so that a kill leaves a terminal that needs no repair.
 */
import { stripVTControlCharacters } from 'node:util'
import { columnsOf } from './terminal-text.ts'

/** What is used of process.stderr; columns and rows are those of this moment, 0 where a pseudo-terminal has no size. */
export interface Terminal {
  readonly columns: number
  readonly rows: number
  readonly write: (text: string) => unknown
}

export interface LiveScreen {
  /** Puts these lines in place of those before; none may be wider than the terminal. Colours are allowed in them. */
  readonly draw: (lines: readonly string[]) => void
  /** Prints lines that stay, above what is drawn. */
  readonly above: (text: string) => void
}

/** Of a terminal that tells none: the oldest one. */
export function sizeOf({ columns, rows }: Terminal): { readonly columns: number; readonly rows: number } {
  return { columns: columns || 80, rows: rows || 24 }
}

const csi = '\u001b['

export function liveScreen(terminal: Terminal): LiveScreen {
  let drawn: readonly string[] = []

  /** Rows that the lines take now: in a window that has become narrower they wrap. */
  const rowsTaken = () => {
    const { columns } = sizeOf(terminal)
    return drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(columnsOf(stripVTControlCharacters(line)) / columns)),
      0
    )
  }
  const back = () => (drawn.length === 0 ? '' : `${csi}${rowsTaken()}A\r`)
  const written = (lines: readonly string[]) => lines.map((line) => `${line}${csi}K\n`).join('')

  return {
    draw: (lines) => {
      terminal.write(`${back()}${written(lines)}${csi}J`)
      drawn = lines
    },
    above: (text) => {
      terminal.write(`${back()}${csi}J${text}\n${written(drawn)}`)
    }
  }
}
