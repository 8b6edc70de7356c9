import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Eta } from 'eta'
import { stepIds } from '../server/steps/step.ts'
import type { Page } from '../server/web/view-model.ts'
import { complete, samplePages, setupPage } from './sample-pages.ts'

const eta = new Eta({ views: import.meta.dirname, cache: true, autoTrim: false })
const draw = (template: string, model: Page) => eta.render(template, model)
const asset = (name: string) => readFileSync(join(import.meta.dirname, '..', 'public', name), 'utf8')
const pages = Object.entries(samplePages()).map(([name, { template, model }]) => ({
  name,
  html: draw(template, model)
}))
const page = (name: string) =>
  pages.find((candidate) => candidate.name === name)?.html ?? assert.fail(`no page ${name}`)

const voids = new Set(['meta', 'link', 'input', 'br', 'hr', 'img', 'wbr'])

/** Opening tags in order; fails where a tag is not closed in its turn. */
function tagsOf(html: string): { readonly tag: string; readonly attributes: string }[] {
  const open: string[] = []
  const tags: { tag: string; attributes: string }[] = []
  for (const [, slash, tag = '', attributes = ''] of html.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[^\s"=<>]+(?:="[^"]*")?)*)\s*>/g
  )) {
    if (slash === '/') assert.equal(open.pop(), tag, `</${tag}> closes something else`)
    else {
      tags.push({ tag, attributes })
      if (!voids.has(tag)) open.push(tag)
    }
  }
  assert.deepEqual(open, [], 'tags left open')
  const withoutTags = html.replace(/<!doctype html>/, '').replace(/<\/?[a-z][^<>]*>/g, '')
  assert.doesNotMatch(withoutTags, /[<>]/, 'a bare < or >')
  return tags
}

const attribute = (attributes: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(attributes)?.[1]

for (const { name, html } of pages) {
  test(`${name}: tags are balanced, ids unique, references lead somewhere and nothing is "undefined"`, () => {
    const tags = tagsOf(html)
    const ids = tags.flatMap(({ attributes }) => attribute(attributes, 'id') ?? [])
    assert.deepEqual(ids, [...new Set(ids)])
    for (const { attributes } of tags) {
      for (const reference of ['for', 'aria-describedby', 'aria-labelledby', 'data-reveals', 'data-copies']) {
        for (const id of attribute(attributes, reference)?.split(' ') ?? []) {
          assert.ok(ids.includes(id), `${reference}="${id}" leads nowhere`)
        }
      }
      const href = attribute(attributes, 'href')
      if (href?.startsWith('#')) assert.ok(ids.includes(href.slice(1)), `${href} leads nowhere`)
    }
    assert.doesNotMatch(html, /undefined|\[object |NaN/)
  })

  test(`${name}: every control that is shown has a label, and one h1 heads the page`, () => {
    const tags = tagsOf(html)
    const labelled = new Set(
      tags.flatMap(({ tag, attributes }) => (tag === 'label' ? (attribute(attributes, 'for') ?? []) : []))
    )
    const controls = tags.filter(
      ({ tag, attributes }) => /^(input|select|textarea)$/.test(tag) && !attributes.includes('type="hidden"')
    )
    for (const { attributes } of controls) assert.ok(labelled.has(attribute(attributes, 'id') ?? ''), attributes)
    assert.equal(tags.filter(({ tag }) => tag === 'h1').length, 1)
  })

  test(`${name}: no script, style or handler stands in the page itself`, () => {
    assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:/i)
    assert.deepEqual(html.match(/<script[^>]*>[^<]*/g), ['<script src="/public/wizard.js?v=550a9cb" defer>'])
  })
}

test('every step has its view', () => {
  for (const id of stepIds) assert.match(page(id), new RegExp(`<form method="post" action="/setup/steps/${id}"`))
})

test('hostile text from a token, a peer or an answer stays text', () => {
  const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&amp;`
  const escaped = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&amp;amp;'
  const model = setupPage('kms', {
    errors: [{ field: 'slot', text: hostile }, { text: hostile }],
    findings: [
      {
        id: hostile,
        title: hostile,
        verdict: 'fail',
        say: hostile,
        cure: hostile,
        guide: hostile,
        offer: { label: hostile, values: { slot: hostile } },
        ms: 1
      }
    ],
    notes: [{ kind: 'note', text: hostile }],
    notice: hostile,
    plan: [hostile],
    showOnce: [{ label: hostile, value: hostile }],
    csrf: hostile,
    sections: setupPage('kms').sections.map((section) => ({
      ...section,
      fields: section.fields.map((field) => ({
        ...field,
        value: hostile,
        error: hostile,
        hint: hostile,
        placeholder: hostile
      }))
    })),
    kms: {
      beforeYouBegin: [{ text: hostile, state: 'missing', command: hostile }],
      tested: [{ what: hostile, tested: hostile, yours: hostile }],
      remarks: [{ verdict: 'fail', say: hostile, cure: hostile }],
      clients: ['/a', '/b'].map((at) => ({ title: hostile, module: at + hostile, confPath: hostile, inUse: false })),
      partitions: [3, 5].map((slot) => {
        return {
          slot,
          label: hostile,
          serial: hostile,
          model: hostile,
          firmware: hostile,
          flags: [hostile],
          state: hostile
        }
      }),
      evidence: {
        facts: [{ label: hostile, value: hostile }],
        used: [{ name: hostile, number: hostile, sizes: hostile, for: hostile }],
        others: [hostile]
      },
      pasted: {
        understood: true,
        say: hostile,
        fill: {},
        choices: [{ title: hostile, about: hostile, fill: { partition: hostile } }]
      }
    },
    complete: { ...complete, enrolCommand: hostile, verdict: { ok: true, text: hostile } }
  })
  for (const template of ['/steps/kms.eta', '/steps/complete.eta']) {
    const html = draw(template, model)
    const tags = tagsOf(html).map(({ tag }) => tag)
    assert.ok(!tags.includes('img'))
    assert.equal(tags.filter((tag) => tag === 'script').length, 1)
    assert.ok(html.includes(escaped))
    assert.doesNotMatch(html.replaceAll(escaped, ''), /alert\(1\)/)
  }
})

test('a secret that reached the model by mistake is still not shown', () => {
  const { sections } = setupPage('kms')
  const leaky = sections.map((section) => ({
    ...section,
    fields: section.fields.map((field) => (field.secret ? { ...field, value: 'leaked-pin' } : field))
  }))
  const html = draw('/steps/kms.eta', setupPage('kms', { sections: leaky }))
  assert.match(html, /Saved\. Leave empty to keep it\./)
  assert.doesNotMatch(html, /leaked-pin/)
})

test('an error is in the summary, beside its field, in the title, and opens the fold that hides it', () => {
  const html = page('kms-error')
  assert.match(html, /<title>Error: KMS Deployment – Step 3 of 11/)
  assert.match(html, /<main[^>]*>\s*<div class="summary" id="summary" role="alert"/)
  assert.match(html, /<a href="#f-kmsHost">You must provide a value for Kms Hostname\.<\/a>/)
  assert.match(html, /name="kmsHost"[^>]*aria-describedby="f-kmsHost-hint f-kmsHost-error" aria-invalid="true"/)
  assert.match(html, /<details class="fold" open>\s*<summary>HSM client/)
  assert.match(html, /<details class="fold">\s*<summary>Certificate/)
  assert.doesNotMatch(page('kms'), /aria-invalid|There is a problem/)
})

test('a check that failed tells its id and return code, its commands as code, and an expired password how to change it', () => {
  const ladder = page('kms-error')
  assert.match(ladder, /<code>kms\.slot-present<\/code> · <code>CKR_SLOT_ID_INVALID<\/code> <code>0x3<\/code>/)
  assert.match(ladder, /make the client see slot 0: <code>vtl verify<\/code>\./)
  assert.doesNotMatch(ladder, /Change it now/)
  const expired = page('kms-expired')
  assert.match(expired, /<button class="small" formaction="\/setup\/steps\/kms\/change-password">Change it now/)
  assert.match(expired, /<code>CKR_PIN_EXPIRED<\/code> <code>0xA3<\/code>/)
  assert.match(expired, /name="_newPassword" type="password" value=""/)
})

test('a job that failed names the steps that were not begun and the support bundle of its state folder; others name none', () => {
  const failed = page('job-failed')
  assert.match(failed, /data-verdict="skip"><p><b data-part="word">Not begun<\/b>/)
  for (const flag of ['--preview', '--to support.tar.gz']) {
    assert.ok(failed.includes(`<code>keyscaler support-bundle --state /var/lib/keyscaler ${flag}</code>`))
  }
  assert.ok(!page('kms-cancelled').includes('support-bundle'))
})

test('the list of steps says in words what is done, current and in need of attention', () => {
  const html = page('mqs-attention')
  assert.match(html, /<nav class="progress" aria-label="Setup progress">/)
  assert.match(html, /<li class="current" aria-current="step">\s*<span>Message Queue Service Deployment<\/span>/)
  assert.match(
    html,
    /<a href="\/setup\/steps\/license">System License<\/a>\s*<span class="mark" aria-hidden="true">✓<\/span><span class="hidden"> completed/
  )
  assert.match(
    html,
    /<a href="\/setup\/steps\/kafka">[^<]*<\/a>\s*<span class="mark"><span aria-hidden="true">! <\/span>needs attention/
  )
  assert.match(html, /<li class="later">\s*<span>CP Deployment<\/span>/)
})

test('every condition on a page has a rule in the sheet that hides what it does not show', () => {
  const sheet = asset('keyscaler.css')
  const numbers = new Set(
    pages.flatMap(({ html }) => [...html.matchAll(/data-when="(\d+)"/g)].map(([, number]) => number))
  )
  assert.deepEqual([...numbers].sort(), ['1', '2'])
  for (const number of numbers) {
    assert.ok(sheet.includes(`form:not(:has([data-shows~="${number}"]:checked)) [data-when="${number}"]`))
  }
})

test('the first page with all its assets is at most 9 kB compressed, the heaviest at most 11 kB', () => {
  const size = (text: string) => gzipSync(text, { level: 9 }).length
  const assets = ['keyscaler.css', 'wizard.js', 'favicon.svg'].reduce((sum, name) => sum + size(asset(name)), 0)
  const first = Math.max(size(page('code')), size(page('welcome')))
  const heaviest = Math.max(...stepIds.map((id) => size(page(id))))
  assert.ok(size(page('code')) > 500)
  assert.ok(assets + first <= 9 * 1024, `${assets} + ${first} bytes`)
  assert.ok(assets + heaviest <= 11 * 1024, `${assets} + ${heaviest} bytes`)
})
