import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { DatabaseConnection } from '../../lib/database/pool.ts'
import { observeMysql } from './mysql.ts'
import { httpPeer, type Peer, peer, resetPeer, silentPeer, sshPeer } from './testing.ts'

const password = 'a-secret-nobody-else-has'
const observe = (over: Partial<DatabaseConnection>, ms = 8000) =>
  observeMysql(
    {
      connection: { host: '127.0.0.1', port: 1, user: 'installer', password, ...over },
      schema: 'keyscaler',
      install: 'this-install'
    },
    () => {},
    AbortSignal.timeout(ms)
  )

/** Protocol 10, "8.0.36", mysql_native_password; @param capabilities lower 16 bits, 0x0800 = TLS */
function greeting(capabilities = 0xf7ff & ~0x0800): Buffer {
  const salt = Buffer.from('0123456789abcdefghij')
  const low = Buffer.alloc(2)
  low.writeUInt16LE(capabilities)
  const payload = Buffer.concat([
    Buffer.from([10]),
    Buffer.from('8.0.36\0'),
    Buffer.from([1, 0, 0, 0]),
    salt.subarray(0, 8),
    Buffer.from([0]),
    low,
    Buffer.from([45, 2, 0, 0xff, 0x81, 21]),
    Buffer.alloc(10),
    salt.subarray(8),
    Buffer.from('\0mysql_native_password\0')
  ])
  return packet(0, payload)
}

function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(payload.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, payload])
}

const ok = Buffer.from([0, 0, 0, 2, 0, 0, 0])

/** Takes any login, then answers each query with `answer`. */
function rogueServer(answer: Buffer): Promise<Peer> {
  return peer((socket) => {
    socket.write(greeting())
    socket.on('data', (chunk) => socket.write(chunk[3] === 1 ? packet(2, ok) : answer))
  })
}

test('a name that does not resolve, a refusing, silent, resetting and a wrong peer are told apart before any login', async () => {
  assert.equal((await observe({ host: 'nobody.invalid' })).resolved, null)
  assert.equal((await observe({ port: 1 })).greeting?.problem, 'refused')
  const quiet = await Promise.all([silentPeer(), httpPeer()])
  const seen = await Promise.all(quiet.map(({ port }) => observe({ port })))
  assert.deepEqual(
    seen.map((one) => one.greeting?.problem),
    ['silent', 'silent']
  )
  assert.equal((await observe({ port: (await resetPeer()).port })).greeting?.problem, 'closed')
  assert.equal((await observe({ port: (await sshPeer()).port })).greeting?.problem, 'not-mysql')
})

test('a server that refuses with an error instead of a greeting is told by its number', async () => {
  const blocked = Buffer.concat([Buffer.from([0xff, 0x69, 0x04]), Buffer.from('Host is blocked')])
  const { port } = await peer((socket) => socket.end(packet(0, blocked)))
  const { greeting: seen } = await observe({ port })
  assert.deepEqual([seen?.problem, seen?.errorCode], ['refused-by-server', 1129])
})

test('to another machine nothing is sent without TLS: no user, no password, no handshake response', async (t) => {
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  if (outside === undefined) return t.skip('this machine has no address but loopback')
  const heard: Buffer[] = []
  const { createServer } = await import('node:net')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => heard.push(chunk))
    socket.write(greeting())
  })
  await new Promise<void>((done) => server.listen(0, outside.address, done))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const seen = await observe({ host: outside.address, port })
  server.close()
  assert.equal(seen.greeting?.problem, null)
  assert.equal(seen.withheld, true)
  assert.equal(seen.server, null)
  assert.equal(Buffer.concat(heard).length, 0)
})

test('TLS that was asked for is never given up: a server without it sees no login', async () => {
  const stripped = await rogueServer(packet(1, ok))
  const seen = await observe({ port: stripped.port, tlsCa: 'system' })
  assert.equal(seen.greeting?.tls?.problem, 'no-tls')
  assert.equal(stripped.heard().length, 0)
})

test('a rogue server that asks for a local file gets none, and the verdict comes', async () => {
  const rogue = await rogueServer(packet(1, Buffer.concat([Buffer.from([0xfb]), Buffer.from('/etc/hostname')])))
  const { readFile } = await import('node:fs/promises')
  const seen = await Promise.race([observe({ port: rogue.port }, 1000), setTimeout(3000, null)])
  assert.ok(seen === null || seen.loginProblem === 'lost')
  assert.ok(!rogue.heard().includes(await readFile('/etc/hostname')))
})

test('a rogue server that asks for the password in clear (mysql_clear_password) does not get it', async () => {
  const clear = Buffer.concat([Buffer.from([0xfe]), Buffer.from('mysql_clear_password\0')])
  const rogue = await peer((socket) => {
    socket.write(greeting())
    socket.on('data', (chunk) => chunk[3] === 1 && socket.write(packet(2, clear)))
  })
  const seen = await observe({ port: rogue.port })
  assert.equal(seen.loginProblem, 'unsupported-plugin')
  assert.ok(!rogue.heard().includes(password))
})

test('an account that logs in by ed25519 is told so', async () => {
  const ed25519 = Buffer.concat([Buffer.from([0xfe]), Buffer.from('client_ed25519\0'), Buffer.alloc(32, 7)])
  const { port } = await peer((socket) => {
    socket.write(greeting())
    socket.on('data', (chunk) => chunk[3] === 1 && socket.write(packet(2, ed25519)))
  })
  assert.equal((await observe({ port })).loginProblem, 'unsupported-plugin')
})

test('a rogue server that answers with an endless row costs no memory', async () => {
  const { port } = await peer((socket) => {
    socket.write(greeting())
    let sequence = 1
    let left = 0
    // Packets of 16 MiB - 1, each of which says that the row goes on in the next (MySQL protocol, "sending more than 16 MB").
    const flood = () => {
      for (let room = !socket.destroyed; room && !socket.destroyed; ) {
        const length = Math.min(left, 65_536)
        room = socket.write(length === 0 ? Buffer.from([0xff, 0xff, 0xff, sequence++ % 256]) : Buffer.alloc(length, 1))
        left = length === 0 ? 0xffffff : left - length
      }
    }
    socket.on('data', (chunk) => {
      if (chunk[3] === 1) socket.write(packet(2, ok))
      else {
        socket.on('drain', flood)
        flood()
      }
    })
  })
  const before = process.memoryUsage().rss
  const seen = await Promise.race([observe({ port }, 2000), setTimeout(2500, null)])
  assert.equal(seen?.loginProblem, 'lost')
  assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20)
})
