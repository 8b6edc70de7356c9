import { Socket } from 'node:net'

/** The sandbox holds the other end: when it dies, even by SIGKILL, we read end of file. */
export function watchLifeline(ended: () => void): void {
  const fd = Number(process.env.KEYSCALER_LIFELINE_FD)
  if (!Number.isInteger(fd) || fd < 3) return
  const lifeline = new Socket({ fd, readable: true, writable: false })
  lifeline.on('close', ended).on('error', () => {})
  lifeline.resume()
  lifeline.unref()
}
