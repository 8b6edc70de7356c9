/** What is remembered about the logins at one token: a small file, replaced as a whole. Holds no PIN. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { LoginOutcome } from './login-gate.ts'
import type { PinHistory } from './pin-rules.ts'

const mac = z.string().regex(/^[0-9a-f]{64}$/)
const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Serial of the token, or the folder of an NSS store: for the person who reads the file. */
  token: z.string(),
  failures: z.int().min(0),
  lastFailureAt: z.int().min(0),
  /** PINs that the token rejected, newest last. */
  rejected: z.array(mac),
  /** PINs that were sent and never answered. */
  interrupted: z.array(z.strictObject({ mac, times: z.int().min(1) })),
  accepted: mac.nullable(),
  /**
   * A login that is being sent: written before it is, so a process that is killed in between leaves it here.
   * With `next` it is C_SetPIN, which proves one password and puts the next in its place.
   */
  open: z.strictObject({ mac, at: z.int(), next: mac.optional() }).nullable()
})
export type PinRecord = z.infer<typeof recordSchema>

const kept = 64

export function emptyRecord(token: string): PinRecord {
  const none = { failures: 0, lastFailureAt: 0, rejected: [], interrupted: [], accepted: null, open: null }
  return { version: 1, token, ...none }
}

/** @throws AppError internal when the file is not ours: then no login is sent, since nobody knows how many were */
export function readRecord(path: string, token: string): PinRecord {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return emptyRecord(token)
    throw unreadable(path, error)
  }
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** Atomic and durable: after it returns, a power loss does not forget it. */
export function writeRecord(path: string, record: PinRecord): void {
  writeDurably(path, `${JSON.stringify(record, null, 2)}\n`)
}

/** Temp, fsync, rename, fsync of the folder; mode 0600. */
export function writeDurably(path: string, content: string): void {
  const draft = `${path}.${process.pid}.new`
  const file = openSync(draft, 'w', 0o600)
  try {
    // All of it: a disk that fills up may take less at once and say nothing.
    writeFileSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** The record after the login that it has open came to this end; unchanged when none is open. */
export function settle(record: PinRecord, outcome: LoginOutcome, now: number): PinRecord {
  const { open } = record
  if (open === null) return record
  if (open.next !== undefined && outcome !== 'rejected') return settleChange(record, open.mac, open.next, outcome)
  const closed = { ...record, open: null }
  const failed = { ...closed, failures: record.failures + 1, lastFailureAt: now }
  const others = record.interrupted.filter((entry) => entry.mac !== open.mac)
  switch (outcome) {
    case 'accepted': {
      const rejected = record.rejected.filter((entry) => entry !== open.mac)
      return { ...closed, failures: 0, lastFailureAt: 0, rejected, interrupted: [], accepted: open.mac }
    }
    case 'rejected': {
      const rejected = [...record.rejected.filter((entry) => entry !== open.mac), open.mac].slice(-kept)
      const accepted = record.accepted === open.mac ? null : record.accepted
      return { ...failed, rejected, interrupted: others, accepted }
    }
    case 'lost': {
      const times = (record.interrupted.find((entry) => entry.mac === open.mac)?.times ?? 0) + 1
      return { ...failed, interrupted: [...others, { mac: open.mac, times }].slice(-kept) }
    }
    case 'undecided':
      return closed
  }
}

/** The password before it is a wrong one from now on; who still has it is refused without asking the token. */
function settleChange(
  record: PinRecord,
  from: string,
  to: string,
  outcome: Exclude<LoginOutcome, 'rejected'>
): PinRecord {
  const closed = { ...record, open: null }
  switch (outcome) {
    case 'accepted': {
      const rejected = [...record.rejected.filter((entry) => entry !== from && entry !== to), from].slice(-kept)
      return { ...closed, failures: 0, lastFailureAt: 0, rejected, interrupted: [], accepted: to }
    }
    case 'lost':
      // The login before it has proved the old one, so this was no failure; which of both is right now, nobody knows.
      return { ...closed, rejected: record.rejected.filter((entry) => entry !== to), accepted: null }
    case 'undecided':
      return closed
  }
}

export function historyOf(record: PinRecord, pin: string): PinHistory {
  return {
    failures: record.failures,
    unanswered: unanswered(record),
    lastFailureAt: record.lastFailureAt,
    thisPinRejected: record.rejected.includes(pin),
    thisPinInterrupted: record.interrupted.find((entry) => entry.mac === pin)?.times ?? 0,
    thisPinAccepted: record.accepted === pin
  }
}

/** Logins since the last success whose answer never came; one that was rejected when it was sent again counts as rejected. */
function unanswered(record: PinRecord): number {
  return record.interrupted.reduce((sum, { times }) => sum + times, 0)
}

function unreadable(path: string, cause: unknown): AppError {
  const cure = `Look at ${path}; remove it only if you know how many wrong logins the token has seen.`
  return new AppError('internal', 'The record of failed logins cannot be read, so no password is sent.', {
    cause,
    cure
  })
}
