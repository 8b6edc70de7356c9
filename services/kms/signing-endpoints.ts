/** Signing keys over REST: the wizard makes them, services have messages signed. Never a digest: that could be anybody's certificate. */
import { z } from 'zod'
import { defineEndpoint } from './endpoint.ts'
import { requests } from './requests.ts'

/** Bytes, a multiple of 3, so that the length of its base64 tells. What is larger the caller hashes, and has signed as a message. */
const mostMessage = 65_535
/** What a call may carry fits into one turn of the token's sessions, so that nobody waits long behind it. */
const mostMessages = 64

const message = z
  .base64()
  .min(1)
  .max((mostMessage / 3) * 4)

const signingKey = { keyId: z.string(), algorithm: z.string(), publicKey: z.string() }

export const signingEndpoints = {
  createSigningKey: defineEndpoint({
    method: 'POST',
    path: '/v1/signing-keys',
    summary: "Makes a tenant's signing key in the token, or answers the one that there is.",
    roles: ['wizard'],
    action: 'signing-key.create',
    keys: [{ purpose: 'signing', to: 'create' }],
    body: z.strictObject({ tenant: requests.tenantKey.shape.tenant, algorithm: z.enum(['EC-P256', 'RSA-3072']) }),
    answer: z.strictObject(signingKey)
  }),
  signMessage: defineEndpoint({
    method: 'POST',
    path: '/v1/signing-keys/:keyId/signatures',
    summary: "A tenant's signature of a message, which is prefixed with words that no certificate can begin with.",
    roles: ['wizard', 'cp', 'dae'],
    action: 'message.sign',
    keys: [{ purpose: 'signing', to: 'sign messages' }],
    params: requests.ca,
    body: z.strictObject({ message }),
    answer: z.strictObject({ signature: z.base64() })
  }),
  signMessages: defineEndpoint({
    method: 'POST',
    path: '/v1/signing-keys/:keyId/signature-batches',
    summary: `The same for up to ${mostMessages} messages in one call, which is one entry of the audit: all are signed, or none is answered.`,
    roles: ['wizard', 'cp', 'dae'],
    action: 'messages.sign',
    keys: [{ purpose: 'signing', to: 'sign messages' }],
    params: requests.ca,
    body: z.strictObject({ messages: z.array(message).min(1).max(mostMessages) }),
    answer: z.strictObject({ signatures: z.array(z.base64()) })
  }),
  listSigningKeyVersions: defineEndpoint({
    method: 'GET',
    path: '/v1/signing-keys/:keyId/versions',
    summary:
      'All versions of a signing key with their public keys, newest first: what an older one has signed is verified with its own.',
    roles: ['wizard', 'cp', 'dae'],
    action: 'signing-key.list',
    keys: [{ purpose: 'signing', to: 'list' }],
    params: requests.ca,
    answer: z.strictObject({
      versions: z.array(
        z.strictObject({
          ...signingKey,
          version: z.int(),
          state: z.enum(['active', 'retired', 'destroyed'])
        })
      )
    })
  }),
  succeedSigningKey: defineEndpoint({
    method: 'POST',
    path: '/v1/signing-keys/:keyId/successor',
    summary:
      'Makes the next version of a signing key, or answers the one that there is. It signs from now on; the old one signs no more.',
    roles: ['wizard'],
    action: 'signing-key.rotate',
    keys: [{ purpose: 'signing', to: 'rotate' }],
    params: requests.ca,
    body: z.strictObject({}),
    answer: z.strictObject(signingKey)
  })
} as const
