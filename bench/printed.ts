/** A report for people. */
import type { Judged, JudgedTime } from './benchmark.ts'
import type { Report } from './measure.ts'

export function printed({ benchmark, title, seconds, cases }: Report): string {
  const lines = [`${benchmark.toUpperCase()}  ${title}  (${seconds} s)`]
  for (const { name, rounds, disturbed, rates, ratios, times, costs } of cases) {
    const thrown = disturbed === 0 ? '' : `, ${disturbed} disturbed and not counted`
    lines.push(`  ${name}: ${rounds} rounds${thrown}`)
    lines.push(
      `    ${Object.entries(rates)
        .map(([run, rate]) => `${run} ${rate < 20 ? `${Math.round(1000 / rate)} ms` : `${Math.round(rate)}/s`}`)
        .join('   ')}`
    )
    const spent = Object.entries(costs).map(([who, cost]) => `${who} ${Math.round(cost)}`)
    lines.push(...ratios.map(ratioLine), ...times.map(timeLine))
    if (spent.length > 0) lines.push(`    µs of a core for each signature: ${spent.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}

function ratioLine({ name, median, min, max, floor, aim, verdict }: Judged): string {
  const held = [floor === null ? '' : `floor ${floor}`, aim === null ? '' : `aim ${aim}`].filter((part) => part !== '')
  const judged = held.length === 0 ? '' : `   ${held.join(', ')}: ${verdict}`
  return `    ${name.padEnd(26)} ${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})${judged}`
}

function timeLine({ name, median, max, most, verdict }: JudgedTime): string {
  const held = most === null ? '' : `   at most ${most} ms: ${verdict === 'floor held' ? 'held' : 'not held'}`
  return `    ${name.padEnd(26)} ${median.toFixed(1)} ms (worst round ${max.toFixed(1)})${held}`
}
