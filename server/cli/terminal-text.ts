/** Text for a place of so many columns on a terminal. */
import { stripVTControlCharacters } from 'node:util'
import { printable } from './console.ts'

/**
 * Columns that a text takes, or more: whatever is beyond the alphabets counts as two, as most of it does. A line that is cut
 * too short does no harm; one that wraps would be drawn over the wrong rows.
 */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) columns += wide(character) ? 2 : 1
  return columns
}

/** One line of at most so many columns, without control characters and colours of its own. */
export function fitted(text: string, columns: number, end = '…'): string {
  const line = printable(stripVTControlCharacters(text)).replace(/[\t\n]/g, ' ')
  if (columnsOf(line) <= columns) return line
  let cut = ''
  let left = columns - 1
  for (const character of line) {
    left -= wide(character) ? 2 : 1
    if (left < 0) break
    cut += character
  }
  return columns < 1 ? '' : cut + end
}

const wide = (character: string): boolean =>
  (character.codePointAt(0) ?? 0) >= 0x1100 && !/[\u2000-\u28ff]/.test(character)
