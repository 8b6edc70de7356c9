/**
 * What the server works at, told as it happens: the events of a job (server-sent), in rows of checks and in phases with
 * their logs. What was sent is done once: after a lost connection it is sent again under the key that it had.
 */

const lookEveryMs = 1000
/** Something that is over by then is not worth a part of the page. */
const showAfterMs = 1000

/** Sends a form. What is refused at once is answered with a page; work that was begun, with the address of its job. */
export async function post(address, body, page) {
  const answer = await sent(address, body, page)
  if (answer.status === 202) return follow(null, page, answer.headers.get('location'))
  if (answer.redirected) return location.assign(answer.url)
  const html = await answer.text()
  if (/<form[^>]* data-step>/.test(html)) return page.show(html)
  // No step's page: what was typed stays where it is.
  const refusal = new DOMParser().parseFromString(html, 'text/html')
  const words = [...refusal.querySelectorAll('main .intro, main .intro + p')].map(({ textContent }) => textContent)
  const link = refusal.querySelector('main .button')
  link?.removeAttribute('class')
  // An address in the words is for who has no link to it.
  fail(page, words.join(' ').replace(/: \/\S+$/, '.'), link)
}

/** Whether it came before the connection was lost only the server knows: by the key, it answers what was done then. */
async function sent(address, body, page) {
  // Not randomUUID: that is kept from pages that came by plain HTTP.
  const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
  const headers = { accept: 'text/html', prefer: 'respond-async', 'idempotency-key': key }
  for (let lost = false; ; lost = true) {
    const answer = await fetch(address, { method: 'POST', body, headers }).catch(() => null)
    // One that is being stopped says so to who asks again; the next one knows the key.
    if (answer !== null && !(lost && answer.status === 503)) {
      if (lost) page.find('#summary')?.remove()
      return answer
    }
    if (!lost)
      page.complain('The connection was lost before setup answered. This page sends it again, and it is done once.')
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

/**
 * Shows a job until it ends, then goes where it leads, or shows what the server says of it.
 * @param section the #job of this page; null: it is fetched when there is something to show in it
 */
export function follow(section, page, self = section.dataset.self) {
  const told = []
  let view = section === null ? null : viewOf(section, page)
  let fetching = false
  let over = false
  let lost = false
  let inPhase = false
  let source
  /** The server's clock by ours: nothing is told before it happens. */
  let skew = Number.NEGATIVE_INFINITY

  const on = {
    finding: ({ finding }) => showFinding(finding, page),
    step: () => {
      inPhase = false
    },
    // A phase says itself what it waits for.
    waiting: (event) => inPhase || showWaiting(event, page),
    phase: ({ title }) => {
      inPhase = true
      for (const row of document.querySelectorAll('#checks [data-since]')) row.remove()
      page.say(title)
    },
    cancelling: () => page.say('Stopping at the next safe point…'),
    end: (end) => finish(end)
  }

  function tick() {
    const now = Date.now() + skew
    if (!Number.isFinite(now)) return
    for (const item of document.querySelectorAll('#checks [data-since]')) {
      page.find('[data-part=time]', item).textContent = time(now - Date.parse(item.dataset.since))
    }
    view?.tick(now)
  }
  const ticking = setInterval(tick, 500)

  function take(event) {
    told.push(event)
    if (event.at) skew = Math.max(skew, Date.parse(event.at) - Date.now())
    if (view) view.take(event)
    else if (['phase', 'step', 'cancelling'].includes(event.type)) fetchView()
    on[event.type]?.(event)
  }

  /** The server's own drawing of it, and of the list of steps. */
  async function fetchView() {
    if (fetching || over) return
    fetching = true
    const html = await pageOf(self)
    const fetched = html?.getElementById('job')
    if (!fetched || over) return
    page.find('#job')?.remove()
    page.find('main').append(fetched)
    page.list(html)
    fetched.scrollIntoView({ block: 'nearest' })
    view = viewOf(fetched, page)
    for (const event of told) view.take(event)
    tick()
  }

  function listen() {
    source = new EventSource(`${self}/events`)
    for (const kind of ['step', 'phase', 'log', 'finding', 'waiting', 'cancelling', 'heartbeat', 'end']) {
      source.addEventListener(kind, ({ data }) => {
        if (lost) page.find('#summary')?.remove()
        lost = false
        take({ ...JSON.parse(data), type: kind })
      })
    }
    source.addEventListener('error', look)
  }

  /** The stream broke off: the job itself is asked for until somebody answers. */
  async function look() {
    if (over) return
    const answer = await fetch(self, { headers: { accept: 'application/json' } }).catch(() => null)
    if (over) return
    if (answer === null || answer.status >= 500) {
      if (!lost) page.complain('The connection was lost. This page looks for it again, and goes on by itself.')
      lost = true
      return setTimeout(look, lookEveryMs)
    }
    if (lost) page.find('#summary')?.remove()
    lost = false
    if (!answer.ok) return finish(null)
    const job = await answer.json()
    if (job.endedAt !== null) finish(job)
    else if (source.readyState === EventSource.CLOSED) listen()
  }

  async function finish(end) {
    if (over) return
    over = true
    source.close()
    clearInterval(ticking)
    const next = end?.location ?? (end?.state === 'done' && end.next ? `/setup/steps/${end.next}` : null)
    if (end?.state === 'done' && next) return location.assign(next)
    const resumed = end?.state === 'interrupted' && (await resumeOf(self))
    if (resumed) {
      page.find('#summary')?.remove()
      return follow(null, page, resumed)
    }
    const html = end && (await textOf(self))
    if (html) return page.show(html)
    fail(page, 'Setup does not know any more how this ended.', linkToSetup())
  }

  page.busy(true)
  listen()
  if (view === null) setTimeout(fetchView, showAfterMs)
}

const verdicts = { done: 'pass', failed: 'fail', cancelled: 'warn' }

/** The part of a page that shows phases; events are told to it in their order. */
function viewOf(section, page) {
  const part = (name, within = section) => within.querySelector(`[data-part="${name}"]`)
  const list = part('phases')
  const template = section.querySelector('template')
  const words = new URLSearchParams(section.dataset.words)
  let phase = null
  let waiting = null
  list.replaceChildren()

  function tick(now) {
    const since = (at) => time(now - Date.parse(at))
    part('elapsed').textContent = since(section.dataset.at)
    if (phase) part('time', phase).textContent = since(phase.dataset.at)
    part('waiting').textContent = waiting ? `Waiting for ${waiting.what} since ${since(waiting.since)}` : ''
  }
  function close(state, at) {
    if (!phase) return
    phase.dataset.verdict = verdicts[state]
    part('word', phase).textContent = words.get(state)
    part('time', phase).textContent = time(Date.parse(at) - Date.parse(phase.dataset.at))
    phase = null
    waiting = null
  }
  const on = {
    step: ({ step, state }) => {
      const item = section.querySelector(`[data-id="${step}"]`)
      if (!item) return
      item.dataset.verdict = state === 'done' ? 'pass' : 'wait'
      part('word', item).textContent = words.get(state === 'done' ? 'done' : 'running')
    },
    phase: ({ title, at }) => {
      close('done', at)
      phase = template.content.firstElementChild.cloneNode(true)
      phase.dataset.at = at
      part('title', phase).textContent = title
      phase.querySelector('pre').setAttribute('aria-label', `Log: ${title}`)
      list.append(phase)
    },
    log: ({ line }) => {
      const log = phase?.querySelector('pre')
      if (!log) return
      log.textContent = [...log.textContent.split('\n').filter(Boolean), line].slice(-20).join('\n')
      log.hidden = false
    },
    waiting: ({ what, since }) => {
      waiting = phase && what !== null ? { what, since } : null
    },
    cancelling: () => {
      part('heading').textContent = words.get('cancelling')
      section.querySelector('[data-cancel] button')?.setAttribute('aria-disabled', 'true')
    },
    end: ({ state, at }) => close(state, at)
  }

  section.querySelector('[data-cancel]')?.addEventListener('submit', async (event) => {
    event.preventDefault()
    const { target } = event
    const button = target.querySelector('button')
    if (button.getAttribute('aria-disabled') === 'true') return
    button.setAttribute('aria-disabled', 'true')
    const order = {
      method: 'POST',
      body: new URLSearchParams(new FormData(target)),
      headers: { accept: 'application/json' }
    }
    const answer = await fetch(target.getAttribute('action'), order).catch(() => null)
    if (answer?.ok) return
    button.setAttribute('aria-disabled', 'false')
    page.say('It was not cancelled: try again.')
  })
  return { take: (event) => on[event.type]?.(event), tick }
}

function row(id, verdict, parts, offer, page) {
  const section = page.find('#checks')
  if (!section) return null
  const list = page.find('ol', section)
  const item = page.find('template', section).content.firstElementChild.cloneNode(true)
  item.dataset.id = id
  item.dataset.verdict = verdict
  const words = { ...parts, word: new URLSearchParams(section.dataset.words).get(verdict) }
  for (const part of item.querySelectorAll('[data-part]')) {
    const text = words[part.dataset.part]
    if (text) part.textContent = text
    else part.remove()
    if (part.name && offer) part.value = new URLSearchParams(offer.values)
  }
  const before = rowOf(id, page)
  const waited = page.find('[data-since]', list)
  if (before) before.replaceWith(item)
  // What is waited for stands last.
  else if (verdict !== 'wait' && waited) waited.before(item)
  else list.append(item)
  section.hidden = false
  return item
}

const rowOf = (id, page) => [...page.find('#checks ol').children].find((item) => item.dataset.id === id)

function showFinding(finding, page) {
  const { id, verdict, ckr, offer } = finding
  const code = ckr ? `${id} · ${ckr.name}` : ['fail', 'warn'].includes(verdict) ? id : ''
  const cure = finding.cure?.replaceAll('`', '')
  row(id, verdict, { ...finding, code, cure, time: time(finding.ms), offer: offer?.label }, offer, page)
}

/** A row of its own, as long as it is waited for. */
function showWaiting({ id, what, since }, page) {
  if (!page.find('#checks')) return
  const name = `waiting ${id}`
  if (what === null) return rowOf(name, page)?.remove()
  const item = row(name, 'wait', { title: what, time: ' ' }, null, page)
  item.dataset.since = since
}

async function resumeOf(self) {
  const answer = await fetch('/setup/jobs', { headers: { accept: 'application/json' } }).catch(() => null)
  const jobs = answer?.ok ? (await answer.json()).jobs : []
  const resumed = jobs.find(({ resumes }) => resumes && self.endsWith(resumes))
  return resumed && `/setup/jobs/${resumed.id}`
}

/** Redirects are not followed: the page that they lead to may show something once. */
async function textOf(address) {
  const answer = await fetch(address, { headers: { accept: 'text/html' }, redirect: 'manual' }).catch(() => null)
  return answer === null || answer.type === 'opaqueredirect' ? null : answer.text()
}

async function pageOf(address) {
  const html = await textOf(address)
  return html && new DOMParser().parseFromString(html, 'text/html')
}

function fail(page, words, link) {
  page.busy(false)
  page.complain(words, link)
}

const linkToSetup = () =>
  Object.assign(document.createElement('a'), { href: '/setup', textContent: 'See where setup stands' })

const time = (ms) =>
  ms < 1000
    ? `${Math.max(0, Math.round(ms))} ms`
    : ms < 60000
      ? `${(ms / 1000).toFixed(1)} s`
      : `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`
