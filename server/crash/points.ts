/** The kill points of one install: every call of the reference run from both sides, and a fair sample of them by a seed. */
import { createHash } from 'node:crypto'
import type { Call } from './kill-switch.ts'

/** `statement` stands for a packet to the database, struck by the proxy; the others are calls (kill-switch.ts). */
export interface Point {
  readonly call: string
  readonly n: number
  readonly how: 'before' | 'after' | 'torn' | 'EIO' | 'ENOSPC' | 'reset-before' | 'reset-after' | 'kill-after'
}

export const nameOf = ({ call, n, how }: Point): string => `${call} ${n} ${how}`

export function pointFrom(name: string): Point {
  const [call = '', n = '', how = ''] = name.split(' ')
  return { call, n: Number(n), how: how as Point['how'] }
}

/** Where a disk can refuse: what is written, made, or made durable. */
const canFail: ReadonlySet<string> = new Set([
  ...['create', 'write', 'fsync', 'rename', 'mkdir', 'link'],
  ...['journal', 'journal-file']
])
/** What is written in one go, and may be cut in its middle. */
const written: ReadonlySet<string> = new Set(['write', 'journal'])

/** Killed around each call; in the middle of each write to a file; the connection lost, or killed, around each statement. */
export function killPoints(calls: readonly Call[], packets: number): readonly Point[] {
  const around = calls.flatMap(({ call, n }): Point[] => [
    { call, n, how: 'before' },
    { call, n, how: 'after' },
    ...(written.has(call) ? [{ call, n, how: 'torn' } as const] : [])
  ])
  const statements = Array.from({ length: packets }, (_, index) => index + 1).flatMap((n): Point[] =>
    (['reset-before', 'reset-after', 'kill-after'] as const).map((how) => ({ call: 'statement', n, how }))
  )
  return [...around, ...statements]
}

/** Each call that a disk can refuse, refused. */
export function diskPoints(calls: readonly Call[]): readonly Point[] {
  return calls
    .filter(({ call }) => canFail.has(call))
    .flatMap(({ call, n }): Point[] => [
      { call, n, how: 'EIO' },
      ...(call === 'create' || call === 'fsync' || written.has(call) ? [{ call, n, how: 'ENOSPC' } as const] : [])
    ])
}

/** Of every kind of point as many as of any other, as long as there are; the same ones for the same seed. */
export function sample(points: readonly Point[], count: number, seed: string): readonly Point[] {
  const order = (point: Point) =>
    createHash('sha256')
      .update(`${seed}/${nameOf(point)}`)
      .digest('hex')
  const kinds = Map.groupBy(points, ({ call, how }) => `${call} ${how}`)
  const ranked = [...kinds.values()].flatMap((kind) =>
    kind
      .map((point) => ({ point, order: order(point) }))
      .sort((a, b) => (a.order < b.order ? -1 : 1))
      .map(({ point, order }, rank) => ({ point, order, rank }))
  )
  return ranked
    .sort((a, b) => a.rank - b.rank || (a.order < b.order ? -1 : 1))
    .slice(0, count)
    .map(({ point }) => point)
}

/** Killed alone, or with all that it started, as when the power fails: half of the points each. */
export function powerFails(point: Point): boolean {
  return Number.parseInt(createHash('sha256').update(nameOf(point)).digest('hex').slice(0, 2), 16) % 2 === 0
}
