import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { withPathsIn } from './conf-paths.ts'

const shipped = `# made elsewhere: LibUNIX64 = /build/libs/64/libCryptoki2.so;
Chrystoki2 = {
  LibUNIX64 = /build/x/libs/64/libCryptoki2.so;
}
LunaSA Client = { SSLConfigFile = ./etc/openssl.cnf; ClientPrivKeyFile = ./etc/ClientNameKey.pem; NetClient = 1; }
Misc = {
  PluginModuleDir = ./libs/64/plugins/libdpod.plugin;
  ToolsDir = /usr/safenet/lunaclient/bin/64;
}
XTC = {
  PartitionCAPath = ./partition-ca-certificate.pem;
  PartitionCertPath00 = partition-certificate.pem ;
}
REST = { AuthTokenClientSecret = a/b.pem; SSLClientSideVerifyFile = /build/server-certificate.pem; }
`

it('paths of a client become those of its folder, and nothing else is touched', () => {
  const text = withPathsIn('/opt/dpod', shipped)
  const value = (section: string, key: string) => parseChrystokiConf(text).get(section)?.get(key)
  assert.equal(value('Chrystoki2', 'LibUNIX64'), '/opt/dpod/libs/64/libCryptoki2.so')
  assert.equal(value('LunaSA Client', 'SSLConfigFile'), '/opt/dpod/etc/openssl.cnf')
  assert.equal(value('LunaSA Client', 'ClientPrivKeyFile'), '/opt/dpod/etc/ClientNameKey.pem')
  assert.equal(value('LunaSA Client', 'NetClient'), '1')
  assert.equal(value('Misc', 'PluginModuleDir'), '/opt/dpod/libs/64/plugins')
  assert.equal(value('Misc', 'ToolsDir'), '/opt/dpod/bin/64')
  assert.equal(value('XTC', 'PartitionCAPath'), '/opt/dpod/partition-ca-certificate.pem')
  assert.equal(value('XTC', 'PartitionCertPath00'), '/opt/dpod/partition-certificate.pem')
  assert.equal(value('REST', 'AuthTokenClientSecret'), 'a/b.pem')
  assert.equal(value('REST', 'SSLClientSideVerifyFile'), '/opt/dpod/server-certificate.pem')
  assert.ok(text.startsWith('# made elsewhere: LibUNIX64 = /build/libs/64/libCryptoki2.so;'))
})

it('paths that are right stay as they are, to the letter', () => {
  const once = withPathsIn('/opt/dpod', shipped)
  assert.equal(withPathsIn('/opt/dpod', once), once)
})
