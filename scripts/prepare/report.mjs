// What the bootstrap says: one line a thing it has to do, on stderr; a spinner with the time only on a terminal.
const terminal = process.stderr.isTTY === true && process.env.TERM !== 'dumb'
const frames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
const running = new Map()
let timer

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${terminal ? '\r\x1b[K' : ''}${line}\n`)
}

/**
 * Says what is being done while it is done.
 * @template T
 * @param {string} what such as "Installing npm packages"
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function doing(what, work) {
  const began = Date.now()
  if (terminal) running.set(what, began)
  else say(what)
  timer ??= terminal ? setInterval(draw, 80) : undefined
  try {
    const result = await work()
    running.delete(what)
    if (terminal) say(`${what}: done in ${seconds(began)}`)
    return result
  } finally {
    running.delete(what)
    if (running.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

function draw() {
  const frame = frames[Math.floor(Date.now() / 80) % frames.length]
  const text = [...running].map(([what, began]) => `${what} ${seconds(began)}`).join(' · ')
  process.stderr.write(`\r\x1b[K${frame} ${text.slice(0, (process.stderr.columns ?? 80) - 3)}`)
}

function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`
}
