/**
 * What the wizard's pages gain where scripts run: Show Password, one click that fills in fields, and check rows that
 * appear while the server works. Every page does the same without it, by plain form posts.
 */
{
  const find = (selector, within = document) => within.querySelector(selector)
  const all = (selector) => [...document.querySelectorAll(selector)]
  const say = (text) => {
    const progress = find('#progress')
    if (progress) progress.textContent = text
  }

  function prepare() {
    for (const element of all('[data-js]')) element.hidden = false
    find('#summary')?.focus()
  }

  function conceal() {
    for (const box of all('[data-reveals]')) {
      box.checked = false
      document.getElementById(box.dataset.reveals).type = 'password'
    }
  }

  /** Puts `name=value&…` into the form, and the focus on the first field that it filled. */
  function fill(form, values, focus) {
    const controls = [...new URLSearchParams(values)].map(([name, value]) => {
      const control = form.elements.namedItem(name)
      if (control) control.value = value
      return control
    })
    if (focus) controls.find(Boolean)?.focus()
    say('Filled in.')
  }

  function busy(form, on) {
    form.setAttribute('aria-busy', on)
    for (const button of form.querySelectorAll('button')) button.setAttribute('aria-disabled', on)
  }

  function row(id, verdict, parts, offer) {
    const section = find('#checks')
    const list = find('ol', section)
    const item = find('template', section).content.firstElementChild.cloneNode(true)
    item.dataset.id = id
    item.dataset.verdict = verdict
    const words = { ...parts, word: new URLSearchParams(section.dataset.words).get(verdict) }
    for (const part of item.querySelectorAll('[data-part]')) {
      const text = words[part.dataset.part]
      if (text) part.textContent = text
      else part.remove()
      if (part.name && offer) part.value = new URLSearchParams(offer.values)
    }
    const before = [...list.children].find((other) => other.dataset.id === id)
    if (before) before.replaceWith(item)
    else list.append(item)
    section.hidden = false
    return item
  }

  /** What was sent last. */
  let sent = new URLSearchParams()

  const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)

  const on = {
    finding: ({ finding }) => {
      const { id, verdict, ckr, offer } = finding
      const code = ckr ? `${id} · ${ckr.name}` : ['fail', 'warn'].includes(verdict) ? id : ''
      const cure = finding.cure?.replaceAll('`', '')
      row(id, verdict, { ...finding, code, cure, time: time(finding.ms), offer: offer?.label }, offer)
    },
    /** Told every half second; the row goes when that stops. */
    waiting: ({ id, what, ms }) => {
      const item = row(`waiting ${id}`, 'wait', { title: what, time: time(ms) })
      setTimeout(() => item.remove(), 1500)
    },
    phase: ({ text }) => say(text),
    problem: ({ text }) => complain(text),
    done: ({ location: next }) => location.assign(next),
    page: ({ html }) => show(html)
  }

  /** Puts the main part of a whole page in place of ours. Typed passwords stay where nothing went wrong. */
  function show(html) {
    const page = new DOMParser().parseFromString(html, 'text/html')
    const main = find('main', page)
    const changed = find('[data-id="kms.change-password"][data-verdict="pass"]', main)
    // An expired password was the right one; it is asked for once more to change it.
    if (!find('#summary', main) || find('#f-_newPassword', main)) {
      for (const typed of all('main [type=password]')) {
        const field = main.querySelector(`#${typed.id}`)
        if (field) field.value = typed.value
      }
      if (changed) main.querySelector('#f-password').value = sent.get('_newPassword')
    }
    document.title = page.title
    find('main').replaceWith(main)
    prepare()
    if (!find('#summary')) find('#checks-title')?.focus()
  }

  /** What stops the step and is no answer's fault: in the summary, as on a page that the server draws. */
  function complain(text) {
    find('#summary')?.remove()
    const summary = Object.assign(document.createElement('div'), { id: 'summary', className: 'summary', tabIndex: -1 })
    summary.setAttribute('role', 'alert')
    const heading = Object.assign(document.createElement('h2'), { textContent: 'There is a problem' })
    summary.append(heading, Object.assign(document.createElement('p'), { textContent: text }))
    find('main').prepend(summary)
    for (const form of document.forms) busy(form, false)
    say('')
    summary.focus()
  }

  async function send(form, button) {
    let answered = false
    let ended = false
    // The rows may hold the button, and fields that belong to it.
    const rows = [...find('#checks ol').children]
    sent = new URLSearchParams(new FormData(form, button))
    busy(form, true)
    find('#checks ol').replaceChildren()
    say('Checking…')
    try {
      const answer = await fetch(button?.getAttribute('formaction') ?? form.getAttribute('action'), {
        method: 'POST',
        body: sent,
        headers: { accept: 'application/x-ndjson' }
      })
      answered = true
      if (answer.redirected) return location.assign(answer.url)
      if (!answer.headers.get('content-type')?.includes('ndjson')) return show(await answer.text())
      let rest = ''
      for await (const text of chunks(answer.body)) {
        const lines = (rest + text).split('\n')
        rest = lines.pop()
        for (const line of lines.filter(Boolean)) {
          const said = JSON.parse(line)
          ended ||= ['done', 'page', 'problem'].includes(said.type)
          on[said.type]?.(said)
        }
      }
      if (!ended) throw new Error('The answer broke off.')
    } catch {
      busy(form, false)
      // Never sent twice once the server has begun: a login may have been spent.
      if (answered) return complain('The connection was lost. Open this step again to see where setup stands.')
      find('#checks ol').replaceChildren(...rows)
      form.dataset.plain = 'yes'
      form.requestSubmit(button)
    }
  }

  async function* chunks(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
  }

  document.addEventListener('submit', (event) => {
    const { target: form, submitter } = event
    if (form.getAttribute('aria-busy') === 'true') return event.preventDefault()
    conceal()
    if (form.dataset.step === undefined || form.dataset.plain || submitter?.name === '_use') return busy(form, true)
    event.preventDefault()
    if (submitter?.name === '_offer') fill(form, submitter.value, true)
    else send(form, submitter)
  })

  document.addEventListener('change', ({ target }) => {
    if (target.dataset.reveals) {
      document.getElementById(target.dataset.reveals).type = target.checked ? 'text' : 'password'
    } else if (target.name === '_partition') fill(target.form, target.value)
    else if (['slot', 'partition'].includes(target.name)) {
      // The serial was that of the partition that was chosen; typed by hand it may be another one.
      const serial = target.form.elements.namedItem('serial')
      if (serial) serial.value = ''
    }
  })

  document.addEventListener('click', ({ target }) => {
    if (target.dataset?.copies) navigator.clipboard?.writeText(document.getElementById(target.dataset.copies).innerText)
    if (target.dataset?.prints !== undefined) print()
  })

  // Back from the browser's cache: usable again, and no password in the open.
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return
    conceal()
    for (const form of document.forms) busy(form, false)
  })

  document.documentElement.classList.add('js')
  prepare()
}
