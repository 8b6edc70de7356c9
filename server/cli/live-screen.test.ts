import assert from 'node:assert/strict'
import { test } from 'node:test'
import { liveScreen } from './live-screen.ts'

/** A control sequence, or one character. */
const tokens = new RegExp(`(${String.fromCodePoint(27)}\\[(\\d*)([A-Za-z]))|([\\s\\S])`, 'g')

/** As much of a terminal as is written for: rows that scroll away at the top, and what is shown of them. */
function fakeTerminal(columns: number, rows: number) {
  const lines: string[] = ['$ keyscaler apply', '']
  let [row, column] = [1, 0]
  const put = (character: string) => {
    if (column === terminal.columns) newLine()
    const line = lines[row] ?? ''
    lines[row] = line.slice(0, column).padEnd(column) + character + line.slice(column + 1)
    column += 1
  }
  const newLine = () => {
    row += 1
    column = 0
    lines[row] ??= ''
  }
  const top = () => Math.max(0, lines.length - terminal.rows)
  const terminal = {
    columns,
    rows,
    lines,
    write: (text: string) => {
      for (const [, code, count, what, character] of text.matchAll(tokens)) {
        if (character === '\n') newLine()
        else if (character === '\r') column = 0
        else if (code === undefined) put(character ?? '')
        else if (what === 'A') row = Math.max(top(), row - Number(count))
        else if (what === 'K') lines[row] = (lines[row] ?? '').slice(0, column)
        else if (what === 'J') lines.splice(row, lines.length, (lines[row] ?? '').slice(0, column))
      }
    }
  }
  return terminal
}

const seen = ({ lines }: { readonly lines: readonly string[] }) => lines.filter((line) => line !== '')

test('each picture stands in place of the one before, whether it has more lines or fewer', () => {
  const terminal = fakeTerminal(40, 10)
  const screen = liveScreen(terminal)
  screen.draw(['one', 'two', 'three'])
  screen.draw(['one', 'II'])
  screen.draw(['one', 'II', 'III', 'IV'])
  assert.deepEqual(seen(terminal), ['$ keyscaler apply', 'one', 'II', 'III', 'IV'])
})

test('a line that stays is printed above, and at the bottom of the window nothing is drawn twice', () => {
  const terminal = fakeTerminal(40, 5)
  const screen = liveScreen(terminal)
  screen.draw(['one', 'two', 'three'])
  screen.above('shown once: file')
  screen.draw(['one', 'two', 'III'])
  screen.above('again')
  screen.draw(['1', '2', '3'])
  assert.deepEqual(seen(terminal), ['$ keyscaler apply', 'shown once: file', 'again', '1', '2', '3'])
})

test('in a window that has become narrower the rows that have wrapped are taken back, too', () => {
  const terminal = fakeTerminal(20, 10)
  const screen = liveScreen(terminal)
  screen.draw(['\u001b[32m0123456789abcdef\u001b[0m', 'two'])
  // What a terminal makes of it at ten columns.
  terminal.columns = 10
  terminal.lines.splice(1, 2, '0123456789', 'abcdef', 'two')
  terminal.write('\n')
  screen.draw(['short', 'two'])
  assert.deepEqual(seen(terminal), ['$ keyscaler apply', 'short', 'two'])
})
