/** The picture of work under way: a row a task, and under the one that runs what it does and waits for. Draws, knows no terminal. */
import { columnsOf, fitted } from './terminal-text.ts'

export type TaskState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'

export interface Task {
  readonly title: string
  readonly state: TaskState
  /** So far, where it runs; null before it began. */
  readonly ms: number | null
}

export interface TaskList {
  readonly tasks: readonly Task[]
  /** Stands under the first task that runs, or that failed or was cancelled. */
  readonly phase: string | null
  /** What is waited for, and for how long. */
  readonly waiting: { readonly what: string; readonly ms: number } | null
  /** The last lines of what is waited for. */
  readonly log: readonly string[]
  /** The last row: what a key does, or how it ended. */
  readonly foot: string | null
}

export interface Paper {
  readonly columns: number
  readonly rows: number
  readonly colours: boolean
  /** False where the locale has no more than ASCII. */
  readonly signs: boolean
  /** Counted up at each picture; the spinner turns by it. */
  readonly turn: number
}

const withSigns = { waiting: '·', running: '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏', done: '✓', failed: '✕', cancelled: '■', log: '│' }
const letters = { waiting: '.', running: '|/-\\', done: '+', failed: 'x', cancelled: '-', log: '|' }
const colour: Partial<Record<TaskState | 'soft', number>> = {
  done: 32,
  running: 36,
  failed: 31,
  cancelled: 33,
  soft: 2
}
const mostLogLines = 5

/** @returns lines that fit: none wider than the paper, one fewer than its rows */
export function drawTaskList(list: TaskList, paper: Paper): string[] {
  const { tasks } = list
  const open = tasks.findIndex(({ state }) => state === 'running' || state === 'failed' || state === 'cancelled')
  const room = Math.max(1, paper.rows - 1)
  const under = open < 0 ? [] : detail(list, paper)
  const foot = list.foot === null ? [] : [soft(cut(list.foot, paper.columns, paper), paper)]
  // What is least missed goes first: log lines, then what waits, then what is done.
  const lines = (first: number, last: number, shownUnder: readonly string[]) => [
    ...more(first, 'done', paper),
    ...tasks.slice(first, last).flatMap((task, at) => [row(task, paper), ...(first + at === open ? shownUnder : [])]),
    ...more(tasks.length - last, 'to come', paper),
    ...foot
  ]
  const at = Math.max(0, open)
  let [first, last, shown] = [0, tasks.length, under]
  while (shown.length > 2 && lines(first, last, shown).length > room) shown = shown.slice(0, -1)
  while (last > at + 1 && lines(first, last, shown).length > room) last--
  while (first < at && lines(first, last, shown).length > room) first++
  return lines(first, last, shown).slice(0, room)
}

function row({ title, state, ms }: Task, paper: Paper): string {
  const kind = paper.signs ? withSigns : letters
  const turning = [...kind[state]]
  const sign = turning[paper.turn % turning.length] ?? ''
  const time = ms === null ? '' : duration(ms)
  const text = cut(title, Math.max(1, paper.columns - columnsOf(time) - 5), paper)
  const gap = ' '.repeat(Math.max(1, Math.min(46, paper.columns - 4) - columnsOf(text) - columnsOf(time)))
  const painted = state === 'waiting' ? soft(text, paper) : text
  const line = time === '' ? painted : `${painted}${gap}${soft(time, paper)}`
  return ` ${paint(sign, colour[state], paper)} ${line}`
}

function detail({ phase, waiting, log }: TaskList, paper: Paper): string[] {
  const kind = paper.signs ? withSigns : letters
  const words = [phase, waitingText(waiting, paper)].filter((text) => text !== null)
  const tail = log.slice(-mostLogLines).map((line) => `${kind.log} ${line}`)
  return [...words, ...tail].map((text) => `   ${soft(cut(text, paper.columns - 3, paper), paper)}`)
}

/** "waiting for C_Login since 3 s": how long stays, however long its name is. */
function waitingText(waiting: TaskList['waiting'], paper: Paper): string | null {
  if (waiting === null) return null
  const [before, after] = ['waiting for ', ` since ${duration(waiting.ms)}`]
  return `${before}${cut(waiting.what, Math.max(1, paper.columns - 3 - before.length - after.length), paper)}${after}`
}

function more(count: number, what: string, paper: Paper): string[] {
  return count === 0 ? [] : [`   ${soft(cut(`${count} more ${what}`, paper.columns - 3, paper), paper)}`]
}

/** As long as it is worth saying: 0.3 s, 12 s, 2 min 5 s. */
export function duration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
}

const cut = (text: string, columns: number, { signs }: Paper): string => fitted(text, columns, signs ? '…' : '>')

const soft = (text: string, paper: Paper): string => paint(text, colour.soft, paper)

function paint(text: string, code: number | undefined, { colours }: Paper): string {
  return colours && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text
}
