/** The rows of checks on a step's page: what each came to, and what is waited for. */

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

export function showFinding(finding, page) {
  const { id, verdict, ckr, offer } = finding
  const code = ckr ? `${id} · ${ckr.name}` : ['fail', 'warn'].includes(verdict) ? id : ''
  const cure = finding.cure?.replaceAll('`', '')
  row(id, verdict, { ...finding, code, cure, time: time(finding.ms), offer: offer?.label }, offer, page)
}

/** A row of its own, as long as it is waited for. */
export function showWaiting({ id, what, since }, page) {
  if (!page.find('#checks')) return
  const name = `waiting ${id}`
  if (what === null) return rowOf(name, page)?.remove()
  const item = row(name, 'wait', { title: what, time: ' ' }, null, page)
  item.dataset.since = since
}

export const time = (ms) =>
  ms < 1000
    ? `${Math.max(0, Math.round(ms))} ms`
    : ms < 60000
      ? `${(ms / 1000).toFixed(1)} s`
      : `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`
