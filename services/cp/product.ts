/** What the foot of each page says. The build is a fingerprint of what browsers are served, so that they ask anew for it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')

const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const assets = ['keyscaler.css', 'control-panel.css', 'wizard.js', 'favicon.svg'].map((name) =>
  readFileSync(join(root, 'public', name))
)

export const product = {
  name: 'KeyScaler Setup',
  version,
  build: createHash('sha256').update(Buffer.concat(assets)).digest('hex').slice(0, 7),
  copyright: `© ${new Date().getFullYear()} The KeyScaler Setup developers`,
  vendor: { text: 'Device Authority', href: 'https://www.deviceauthority.com/' }
}
