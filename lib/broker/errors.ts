/** kafkajs's errors as ours. Their texts hold addresses and codes of the peer, never what was typed as a password. */
import { AppError, type ErrorCode, messageOf } from '../errors/app-error.ts'

/** By the protocol's error names (KafkaJSProtocolError.type). */
const byType: Readonly<Record<string, ErrorCode>> = {
  TOPIC_AUTHORIZATION_FAILED: 'forbidden',
  GROUP_AUTHORIZATION_FAILED: 'forbidden',
  CLUSTER_AUTHORIZATION_FAILED: 'forbidden',
  SASL_AUTHENTICATION_FAILED: 'unauthenticated',
  TOPIC_ALREADY_EXISTS: 'conflict',
  UNKNOWN_TOPIC_OR_PARTITION: 'not-found',
  INVALID_REPLICATION_FACTOR: 'invalid-input',
  INVALID_PARTITIONS: 'invalid-input',
  INVALID_TOPIC_EXCEPTION: 'invalid-input',
  POLICY_VIOLATION: 'invalid-input',
  INVALID_RECORD: 'invalid-input',
  INVALID_TIMESTAMP: 'invalid-input',
  RECORD_LIST_TOO_LARGE: 'invalid-input',
  MESSAGE_TOO_LARGE: 'invalid-input'
}

export function brokerError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  const inner = innermost(thrown)
  if (isNamed(inner, 'KafkaJSSASLAuthenticationError')) {
    return new AppError('unauthenticated', 'The broker refused the user name or password.', { cause: thrown })
  }
  const code = byType[typeOf(inner)] ?? 'broker-unavailable'
  return new AppError(code, messageOf(inner).slice(0, 300), { cause: thrown })
}

/** What a broker hears of a moment after the controller does: who has a topic that was just made, or is just being moved. */
const passing = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'])

export function isPassing(thrown: unknown): boolean {
  return passing.has(typeOf(innermost(thrown)))
}

function typeOf(thrown: unknown): string {
  return thrown instanceof Error && 'type' in thrown ? String(thrown.type) : ''
}

/** kafkajs wraps: KafkaJSAggregateError.errors, then .cause (retries exceeded), then the protocol's error. */
function innermost(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown
  if ('errors' in thrown && Array.isArray(thrown.errors) && thrown.errors.length > 0) return innermost(thrown.errors[0])
  return thrown.cause instanceof Error && !('type' in thrown) ? innermost(thrown.cause) : thrown
}

function isNamed(thrown: unknown, name: string): boolean {
  return thrown instanceof Error && thrown.name === name
}
