/** What a list of kill points came to, as a table. */
import { pointFrom } from './points.ts'
import type { PointResult } from './run-point.ts'

export function summary(results: readonly PointResult[], installMs: number): string {
  const kinds = Map.groupBy(results, ({ point }) => {
    const { call, how } = pointFrom(point)
    return `${call} ${how}`
  })
  const rows = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, own]) => row(kind, own))
  const header = ['kind', 'points', 'struck', 'same end', 'median s', 'worst s']
  const table = [header, ...rows, row('all', results)]
  const widths = header.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)))
  const lines = table.map((cells) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ')
  )
  const failed = results.filter(({ problems }) => problems.length > 0).map(({ point }) => `  ${point}`)
  return [...lines, `an install that nothing struck: ${(installMs / 1000).toFixed(1)} s`, ...failed].join('\n')
}

function row(kind: string, results: readonly PointResult[]): string[] {
  const times = results.map(({ resumeMs }) => resumeMs).sort((a, b) => a - b)
  const seconds = (ms: number | undefined) => ((ms ?? 0) / 1000).toFixed(1)
  return [
    kind,
    String(results.length),
    String(results.filter(({ struck }) => struck !== null).length),
    String(results.filter(({ problems }) => problems.length === 0).length),
    seconds(times[Math.floor(times.length / 2)]),
    seconds(times.at(-1))
  ]
}
