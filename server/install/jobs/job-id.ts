/** Ids of jobs sort by when they were begun, also after a clock was set back: which job is the newest is told by them. */

/** @param last the newest id of earlier processes, asked for once; null: there is none @returns makes the next id; no two are alike */
export function jobIds(last: () => string | null): () => string {
  let lastTime: number | null = null
  return () => {
    lastTime = Math.max(Date.now(), (lastTime ?? timeOf(last())) + 1)
    return idAt(lastTime)
  }
}

function idAt(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:.]/g, '')
}

/** Of what is no id: before all. */
function timeOf(id: string | null): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/.exec(id ?? '')
  if (parts === null) return 0
  const [, year, month, day, hour, minute, second, ms] = parts
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`) || 0
}
