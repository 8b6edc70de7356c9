/** A task list in a terminal, drawn in place: what `apply` shows of its job, `destroy` and `restore` of their work. */
import { printable } from './console.ts'
import { liveScreen, sizeOf, type Terminal } from './live-screen.ts'
import { drawTaskList, type Paper, type TaskList } from './task-list.ts'

export interface LiveList {
  readonly draw: (list: TaskList) => void
  /** A line that stays, above the list. */
  readonly say: (line: string) => void
}

/** How often whoever draws does so while nothing happens: the spinner turns, and times go on. */
export const pictureEveryMs = 100

export function liveList(terminal: Terminal, paper: Pick<Paper, 'colours' | 'signs'>): LiveList {
  const screen = liveScreen(terminal)
  let turn = 0
  return {
    draw: (list) => screen.draw(drawTaskList(list, { ...paper, ...sizeOf(terminal), turn: turn++ })),
    say: (line) => screen.above(printable(line))
  }
}
