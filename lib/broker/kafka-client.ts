/** kafkajs, told to be quick and quiet: one attempt a call (the caller decides about more), nothing printed. */
import type { ConnectionOptions } from 'node:tls'
import type { Kafka, KafkaConfig, RetryOptions, SASLOptions } from 'kafkajs'
import { AppError } from '../errors/app-error.ts'
import type { BrokerSettings } from './broker.ts'
import { kafkajs } from './kafkajs.ts'

/** TLS as Kafka wants it: verified, and with the name only where it is one (RFC 6066 3 knows no addresses in SNI). */
function tlsOf({ ca }: BrokerSettings): ConnectionOptions {
  return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: [ca] }) }
}

function saslOf({ mechanism, username, password }: BrokerSettings): SASLOptions {
  if (mechanism === undefined || username === undefined || password === undefined) {
    throw new AppError('invalid-input', 'SASL_SSL needs a mechanism, a user name and a password.')
  }
  return { mechanism, username, password } as SASLOptions
}

/** @param retry default none; reading needs some, since a group's coordinator may have to be elected first */
export function kafkaClient(settings: BrokerSettings, retry: RetryOptions = { retries: 0 }): Kafka {
  const { Kafka, logLevel } = kafkajs()
  const config: KafkaConfig = {
    clientId: settings.clientId ?? 'keyscaler',
    brokers: [...settings.brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1500,
    authenticationTimeout: 2500,
    requestTimeout: 2500,
    enforceRequestTimeout: true,
    // kafkajs's default: five attempts in 8.7 s before a refused port is an error.
    retry,
    ...(settings.security === 'PLAINTEXT' ? {} : { ssl: tlsOf(settings) }),
    ...(settings.security === 'SASL_SSL' ? { sasl: saslOf(settings) } : {})
  }
  return new Kafka(config)
}
