/** For tests: archives made by hand, good ones and bad ones, and a client of Data Protection on Demand. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'

export interface ArchiveEntry {
  readonly name: string
  readonly content?: string | Uint8Array
  readonly mode?: number
  /** tar only: '0' file, '5' folder, '2' link, '1' hard link, '6' FIFO … */
  readonly type?: string
  readonly link?: string
  /** zip only: a checksum that is not the content's. */
  readonly wrongSum?: boolean
}

export function tarOf(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? '')
    const long = Buffer.byteLength(entry.name) > 100
    const own = [tarHeader(entry, content.length), padded(content)]
    if (!long) return own
    const name = Buffer.from(`${entry.name}\0`)
    return [tarHeader({ name: '././@LongLink', type: 'L' }, name.length), padded(name), ...own]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

export function zipOf(entries: readonly ArchiveEntry[]): Buffer {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { name, content = '', mode = 0o100644, wrongSum } of entries) {
    const plain = Buffer.from(content)
    const packed = deflateRawSync(plain)
    const path = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(0x800, 2)
    fields.writeUInt16LE(8, 4)
    fields.writeUInt32LE((crc32(plain) ^ (wrongSum === true ? 1 : 0)) >>> 0, 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(plain.length, 18)
    fields.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, path, packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE((mode << 16) >>> 0, 6)
    rest.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), fields, rest, path]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

/**
 * A zip as Data Protection on Demand gives it: certificates and configuration beside cvclient-min.tar (domain.md A3).
 * @param conf text of its Chrystoki.conf, with paths of another machine
 */
function dpodZip(client: {
  readonly library: Uint8Array
  readonly conf: string
  readonly certificates: Readonly<Record<string, string>>
}): Buffer {
  const tar = tarOf([
    { name: './bin/', type: '5' },
    { name: './bin/64/lunacm', content: '#!/bin/sh\n', mode: 0o755 },
    { name: './setenv', content: '# export ChrystokiConfigurationPath\n', mode: 0o755 },
    { name: './libs/64/libCryptoki2.so', content: client.library, mode: 0o755 },
    { name: './libs/64/libCryptoki2_64.so', type: '2', link: 'libCryptoki2.so' },
    { name: './libs/64/plugins/libdpod.plugin', content: 'plugin', mode: 0o755 },
    { name: './etc/openssl.cnf', content: '# none\n' }
  ])
  return zipOf([
    { name: 'cvclient-min.tar', content: tar },
    { name: 'cvclient-min.zip', content: 'for Windows' },
    { name: 'Chrystoki.conf', content: client.conf },
    { name: 'crystoki-template.ini', content: '[Chrystoki2]\n' },
    ...Object.entries(client.certificates).map(([name, content]) => ({ name, content }))
  ])
}

/** The three of a client: partition CA, a partition's certificate by it, and a server's own. Valid for 100 days. */
function makeCertificates(folder: string): Readonly<Record<string, string>> {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout']
  const own = (name: string) =>
    openssl('req', '-x509', ...key, `${name}.key`, '-subj', `/CN=${name}`, '-days', '100', '-out', `${name}.pem`)
  own('partition-ca-certificate')
  own('server-certificate')
  openssl('req', ...key, 'partition.key', '-subj', '/CN=partition', '-out', 'partition.csr')
  const issuer = ['-CA', 'partition-ca-certificate.pem', '-CAkey', 'partition-ca-certificate.key', '-CAcreateserial']
  openssl('x509', '-req', '-in', 'partition.csr', ...issuer, '-days', '100', '-out', 'partition-certificate.pem')
  const names = ['partition-ca-certificate.pem', 'partition-certificate.pem', 'server-certificate.pem']
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/**
 * The zip for a partition that a library shows when it runs with the given Chrystoki.conf; its own sections are kept.
 * @param folder for what is made on the way, the zip among it; its path is answered
 */
export function dpodZipFor(partition: { readonly module: string; readonly confPath: string }, folder: string): string {
  const conf = readFileSync(join(partition.confPath, 'Chrystoki.conf'), 'utf8').replace(
    /LibUNIX64 = [^;]*;/,
    'LibUNIX64 = /build/client/libs/64/libCryptoki2.so;'
  )
  const zip = dpodZip({
    library: readFileSync(partition.module),
    conf: `${conf}Misc = {
  PluginModuleDir = ./libs/64/plugins/libdpod.plugin;
}
REST = {
  ServerName = eu.hsm.example;
  ServerPort = 443;
  AuthTokenClientSecret = the-secret-of-the-client;
  SSLClientSideVerifyFile = ./server-certificate.pem;
}
XTC = {
  PartitionCAPath = ./partition-ca-certificate.pem;
  PartitionCertPath00 = ./partition-certificate.pem;
}
`,
    certificates: makeCertificates(folder)
  })
  const path = join(folder, 'setup-partition.zip')
  writeFileSync(path, zip)
  return path
}

function tarHeader({ name, mode = 0o644, type = '0', link = '' }: ArchiveEntry, size: number): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100)
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  header.write('        ', 148)
  header.write(type, 156)
  header.write(link, 157, 100)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}
