/** How a check's finding is told on a terminal, or in a pipe: there a line each, whatever its length. */
import type { Finding } from '../checks/check.ts'

const verdictWidth = 6
const titleWidth = 29
/** Below this the words begin on a line of their own. */
const narrow = 90

/**
 * One finding, its cure and its place in the guide.
 * @param columns of the terminal; undefined: no terminal, nothing is broken into lines
 */
export function findingText(finding: Finding, columns: number | undefined = terminalColumns()): string {
  const { verdict, title, say: words, cure, guide, ckr, ms } = finding
  const code = ckr === undefined ? '' : ` [${ckr.name} 0x${ckr.code.toString(16).toUpperCase()}]`
  // What cost nothing of its own has no time.
  const took = Math.round(ms) === 0 ? '' : ` (${Math.round(ms)} ms)`
  const head = `${verdict.padEnd(verdictWidth)}${title.padEnd(titleWidth)}`
  const isNarrow = columns !== undefined && columns < narrow
  const indent = isNarrow ? verdictWidth : verdictWidth + titleWidth
  const said = broken(`${words}${code}${took}`, indent, columns)
  const lines = [isNarrow ? `${head.trimEnd()}\n${' '.repeat(indent)}${said}` : `${head}${said}`]
  const below = (text: string) => `${' '.repeat(verdictWidth)}${broken(text, verdictWidth, columns)}`
  if (cure !== undefined && verdict !== 'pass') lines.push(below(`Next: ${cure}`))
  if (guide !== undefined && verdict !== 'pass') lines.push(below(guide))
  return `${lines.join('\n')}\n`
}

/** A terminal that does not know its width says 0. */
function terminalColumns(): number | undefined {
  const { columns } = process.stdout
  return columns >= 20 ? columns : undefined
}

/** At spaces, the lines after the first set in; a command, and a word that is too long, stays whole, so that it can be copied. */
function broken(text: string, indent: number, columns: number | undefined): string {
  if (columns === undefined) return text
  const width = Math.max(20, columns - indent - 1)
  const lines: string[] = []
  let line = ''
  for (const [word] of text.matchAll(/[^\s`]*`[^`]*`\S*|\S+/g)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}
