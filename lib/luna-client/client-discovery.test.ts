import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { libraryIn, parseChrystokiConf } from './chrystoki-conf.ts'
import { type DiscoveryPlaces, findHsmClients, usualPlaces } from './client-discovery.ts'

let root: string
let places: DiscoveryPlaces
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clients-'))
  places = { lunaLibrary: join(root, 'luna/libCryptoki2_64.so'), dpodFolder: join(root, 'dpod'), confFolders: [root] }
})
afterEach(() => rmSync(root, { recursive: true }))

function put(path: string, content = ''): string {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
  return join(root, path)
}

describe('HSM clients on a host', () => {
  it('are none on an empty one', async () => assert.deepEqual(await findHsmClients(places), []))

  it('are the Luna client in its place, and a DPoD client with its configuration', async () => {
    const luna = put('luna/libCryptoki2_64.so')
    const dpod = put('dpod/hsm1/libs/64/libCryptoki2.so')
    put('dpod/hsm1/Chrystoki.conf')
    assert.deepEqual(await findHsmClients(places), [
      { kind: 'luna', module: luna, confPath: null },
      { kind: 'dpod', module: dpod, confPath: join(root, 'dpod/hsm1') }
    ])
  })

  it('are what Chrystoki.conf names, once', async () => {
    const module = put('elsewhere/libCryptoki2_64.so')
    put('Chrystoki.conf', `Chrystoki2 = {\n LibUNIX64 = ${module};\n}\n`)
    const twice = { ...places, confFolders: [root, root] }
    assert.deepEqual(await findHsmClients(twice), [{ kind: 'configured', module, confPath: root }])
  })

  it('keep their kind when Chrystoki.conf names them', async () => {
    const module = put('luna/libCryptoki2_64.so')
    put('Chrystoki.conf', `Chrystoki2={LibUNIX64=${module};}`)
    assert.deepEqual(await findHsmClients(places), [{ kind: 'luna', module, confPath: root }])
  })

  it('are not what Chrystoki.conf names and is not there', async () => {
    put('Chrystoki.conf', 'Chrystoki2 = { LibUNIX64 = /absent.so; }')
    assert.deepEqual(await findHsmClients(places), [])
  })

  it('are found although a folder leads back into itself', async () => {
    mkdirSync(join(root, 'dpod'))
    symlinkSync(join(root, 'dpod'), join(root, 'dpod/loop'))
    assert.deepEqual(await findHsmClients(places), [])
  })

  it('are looked for where the environment says, then in /etc', () => {
    assert.deepEqual(usualPlaces({ ChrystokiConfigurationPath: '/opt/dpod/hsm1' }).confFolders, [
      '/opt/dpod/hsm1',
      '/etc'
    ])
    assert.deepEqual(usualPlaces({}).confFolders, ['/etc'])
  })
})

describe('Chrystoki.conf', () => {
  it('is read by section and key', () => {
    const conf = parseChrystokiConf(`# a comment = { with; all }
      Chrystoki2 = {
        LibUNIX = /usr/safenet/lunaclient/lib/libCryptoki2.so;
        LibUNIX64 = /usr/safenet/lunaclient/lib/libCryptoki2_64.so;
      }
      LunaSA Client = { ServerName00 = hsm.example; ServerPort00 = 1792; }
      Empty = { }`)
    assert.equal(libraryIn(conf), '/usr/safenet/lunaclient/lib/libCryptoki2_64.so')
    assert.equal(conf.get('LunaSA Client')?.get('ServerPort00'), '1792')
    assert.deepEqual([...(conf.get('Empty') ?? ['absent'])], [])
    assert.deepEqual([...conf.keys()], ['Chrystoki2', 'LunaSA Client', 'Empty'])
  })

  it('of another form names nothing', () => {
    for (const text of ['', 'no sections', 'Chrystoki2 = {', '{;;}={=;}', 'Chrystoki2 = { LibUNIX = /a; }']) {
      assert.equal(libraryIn(parseChrystokiConf(text)), null)
    }
  })
})
