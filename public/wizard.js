/**
 * What the wizard's pages gain where scripts run: Show Password, one click that fills in fields, and what the server is
 * doing as it does it (job.js, brought when something is sent). Every page does the same without it, by plain form posts.
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
    const job = find('#job')
    if (find('[data-cancel]', job ?? undefined)) jobs().then(({ follow }) => follow(job, page))
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

  /** What was sent last. */
  let sent = new URLSearchParams()

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
    list(page)
    prepare()
    if (!find('#summary')) find('#job-title, #checks-title')?.focus()
  }

  /** The list of steps as another page has it. */
  function list(page) {
    const steps = find('.progress', page)
    if (steps) find('.progress')?.replaceWith(steps)
  }

  /** What stops the step and is no answer's fault: in the summary, as on a page that the server draws. */
  function complain(text, link) {
    find('#summary')?.remove()
    const summary = Object.assign(document.createElement('div'), { id: 'summary', className: 'summary', tabIndex: -1 })
    summary.setAttribute('role', 'alert')
    const heading = Object.assign(document.createElement('h2'), { textContent: 'There is a problem' })
    const words = Object.assign(document.createElement('p'), { textContent: text })
    if (link) words.append(' ', link)
    summary.append(heading, words)
    find('main').prepend(summary)
    say('')
    summary.focus()
  }

  /** Ours, as it came with this very page. */
  const version = new URL(document.currentScript.src).search
  const jobs = () => import(`/public/job.js${version}`)
  const page = {
    find,
    say,
    show,
    list,
    complain,
    busy: (on) => {
      for (const form of document.forms) if (form.dataset.cancel === undefined) busy(form, on)
    }
  }

  /** What was wrong with the answers before is not said of those that are looked at now. */
  function forget() {
    find('#summary')?.remove()
    for (const field of all('.wrong')) {
      field.classList.remove('wrong')
      find('.error', field)?.remove()
      find('[aria-invalid]', field)?.removeAttribute('aria-invalid')
    }
    document.title = document.title.replace(/^Error: /, '')
  }

  async function send(form, button) {
    // The rows may hold the button, and fields that belong to it.
    sent = new URLSearchParams(new FormData(form, button))
    const address = button?.getAttribute('formaction') ?? form.getAttribute('action')
    page.busy(true)
    forget()
    find('#checks ol')?.replaceChildren()
    say('Checking…')
    try {
      const { post } = await jobs()
      await post(address, sent, page)
    } catch {
      page.busy(false)
      complain('The wizard does not answer. Nothing was sent: try again when it runs.')
    }
  }

  document.addEventListener('submit', (event) => {
    const { target: form, submitter } = event
    if (form.getAttribute('aria-busy') === 'true') return event.preventDefault()
    conceal()
    if (form.dataset.cancel !== undefined) return
    if (form.dataset.step === undefined || submitter?.name === '_use') return busy(form, true)
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
