import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { pino } from 'pino'
import { AppError } from '../../lib/errors/app-error.ts'
import { type KeyStoreLink, linkKeyStore, type OpenKeyStore } from './key-store-link.ts'

/** Time-outs in milliseconds that a test can wait for; the real token's story is told by kms.test.ts. */
const times = { useMs: 80, pingEveryMs: 10, pingMs: 40, firstBackOffMs: 5, lastBackOffMs: 20, steadyMs: 1000 }
const silent = pino({ level: 'silent' })
const links: KeyStoreLink[] = []
afterEach(() => Promise.all(links.splice(0).map((link) => link.close())))

const gone = new AppError('key-store-unavailable', 'the agent is gone')
const rejected = new AppError('pin-rejected', 'CKR_PIN_INCORRECT')

test('a lost key store is opened again by itself, with one opening for one loss', async () => {
  const world = newWorld()
  const link = await linked(world)
  assert.equal(await link.use(async (store) => (await store.random(4)).length), 4)

  world.lose(gone)
  await assert.rejects(
    link.use((store) => store.random(4)),
    { code: 'service-unavailable' }
  )
  assert.match(link.state().detail, /^lost: /)
  await world.change(true)
  assert.equal(await link.use(async (store) => (await store.random(4)).length), 4)
  assert.deepEqual([world.openings, world.closings], [2, 1])
})

test('while it cannot be opened the waits grow to the longest, and it is tried again until it can', async () => {
  const world = newWorld()
  const link = await linked(world)
  world.refusal = gone
  world.lose(gone)
  const began = performance.now()
  while (world.openings < 6) await world.nextOpening()
  // 5 + 10 + 20 + 20 + 20 ms; timers may be a millisecond early.
  assert.ok(performance.now() - began >= 70)
  world.refusal = null
  await world.change(true)
  assert.equal(link.state().open, true)
})

test('a PIN that is rejected at the reopening is not sent again: the link is sealed and says so', async () => {
  const world = newWorld()
  const sealed: AppError[] = []
  const link = await linked(world, (error) => sealed.push(error))
  world.refusal = rejected
  world.lose(gone)
  await world.nextOpening()
  await new Promise((resolve) => setTimeout(resolve, times.lastBackOffMs * 4))
  assert.equal(world.openings, 2)
  assert.deepEqual(sealed, [rejected])
  assert.equal(link.state().detail, 'sealed: PIN rejected')
  await assert.rejects(
    link.use((store) => store.random(4)),
    /sealed/
  )
})

test('a PIN that is rejected in service (changed, expired) seals the link too', async () => {
  const world = newWorld()
  const sealed: AppError[] = []
  const link = await linked(world, (error) => sealed.push(error))
  await assert.rejects(
    link.use(() => Promise.reject(rejected)),
    { code: 'service-unavailable' }
  )
  assert.deepEqual([sealed, world.openings], [[rejected], 1])
})

test('a call that the token does not answer fails by its deadline, and the other calls go on', async () => {
  const link = await linked(newWorld())
  const started = performance.now()
  await assert.rejects(
    link.use(() => new Promise(() => {})),
    { code: 'service-unavailable' }
  )
  assert.ok(performance.now() - started < 1000)
  assert.equal(await link.use(async () => 'served'), 'served')
})

test('a full queue is told to its caller and costs no login', async () => {
  const world = newWorld()
  const link = await linked(world)
  await assert.rejects(
    link.use(() => Promise.reject(gone)),
    { code: 'service-unavailable' }
  )
  assert.equal(await link.use(async () => 'served'), 'served')
  assert.deepEqual([world.openings, world.closings], [1, 0])
})

test('a token that does not answer for a while is out of service at once, and back without a login', async () => {
  const world = newWorld()
  const link = await linked(world)
  const { detail } = link.state()
  const ping = Promise.withResolvers<void>()
  world.ping = () => ping.promise
  await world.change(false)
  assert.deepEqual(link.state(), { open: false, detail: 'the token does not answer' })
  await assert.rejects(
    link.use(async () => 'served'),
    { code: 'service-unavailable' }
  )
  world.ping = () => Promise.resolve()
  const back = world.change(true)
  ping.resolve()
  await back
  assert.deepEqual(link.state(), { open: true, detail })
  assert.equal(world.openings, 1)
})

test('nobody waits for the closing of a key store that was lost', async () => {
  const world = newWorld()
  const link = await linked(world)
  world.closing = () => new Promise(() => {})
  world.lose(gone)
  await world.change(true)
  assert.equal(await link.use(async () => 'served'), 'served')
  world.closing = () => Promise.resolve()
})

test('a token that fails its proof, or is lost meanwhile, is closed and not used', async () => {
  const other = new AppError('conflict', 'another master key')
  for (const prove of [() => Promise.reject(other), async (_store: OpenKeyStore, world: World) => world.lose(other)]) {
    const world = newWorld()
    await assert.rejects(
      linked(world, undefined, (store) => prove(store, world)),
      other
    )
    assert.deepEqual([world.openings, world.closings], [1, 1])
  }
})

test("an error of the caller's own work is the caller's, and loses nothing", async () => {
  const world = newWorld()
  const link = await linked(world)
  const own = new AppError('invalid-input', 'does not open')
  await assert.rejects(
    link.use(() => Promise.reject(own)),
    own
  )
  assert.equal(link.state().open, true)
})

/** A token as the test wants it to be, and what the link did with it. */
interface World {
  ping: () => Promise<void>
  closing: () => Promise<void>
  refusal: AppError | null
  openings: number
  closings: number
  lose: (why: AppError) => void
  opened: (open: boolean) => void
  tried: () => void
  /** Settles when the link next tells that it is open, or lost. */
  change(to: boolean): Promise<void>
  nextOpening(): Promise<void>
}

function newWorld(): World {
  return {
    ping: () => Promise.resolve(),
    closing: () => Promise.resolve(),
    refusal: null,
    openings: 0,
    closings: 0,
    lose: () => {},
    opened: () => {},
    tried: () => {},
    change(to) {
      return new Promise((resolve) => {
        this.opened = (open) => {
          if (open === to) resolve()
        }
      })
    },
    nextOpening() {
      return new Promise((resolve) => {
        this.tried = resolve
      })
    }
  }
}

async function linked(
  world: World,
  pinRejected: (error: AppError) => void = () => {},
  prove: (store: OpenKeyStore) => Promise<void> = () => Promise.resolve()
): Promise<KeyStoreLink> {
  const link = await linkKeyStore({
    open: async (lost) => {
      world.openings += 1
      world.lose = lost
      queueMicrotask(() => world.tried())
      if (world.refusal !== null) throw world.refusal
      return storeOf(world)
    },
    prove,
    log: silent,
    opened: (open) => world.opened(open),
    pinRejected,
    times
  })
  links.push(link)
  return link
}

function storeOf(world: World): OpenKeyStore {
  const unused = () => Promise.reject(new Error('not used here'))
  return {
    token: { slot: 3, label: 'test', serial: '1', model: '', manufacturer: '', firmware: '1.0' },
    createKey: unused,
    sessions: 1,
    findKey: unused,
    checkValue: unused,
    publicKey: unused,
    sign: unused,
    encrypt: unused,
    decrypt: unused,
    destroyKey: unused,
    isEmpty: unused,
    random: async (bytes) => new Uint8Array(bytes),
    ping: () => world.ping(),
    close: () => {
      world.closings += 1
      return world.closing()
    }
  }
}
