/** How a check's finding is told on a terminal. */
import type { Finding } from '../checks/check.ts'

/** One finding, its cure and its place in the guide, a line each. */
export function findingText({ verdict, title, say: words, cure, guide, ckr, ms }: Finding): string {
  const code = ckr === undefined ? '' : ` [${ckr.name} 0x${ckr.code.toString(16).toUpperCase()}]`
  const lines = [`${verdict.padEnd(5)} ${title.padEnd(28)} ${words}${code} (${Math.round(ms)} ms)`]
  if (cure !== undefined && verdict !== 'pass') lines.push(`      Next: ${cure}`)
  if (guide !== undefined && verdict !== 'pass') lines.push(`      ${guide}`)
  return `${lines.join('\n')}\n`
}
