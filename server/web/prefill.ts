/** An earlier address as the first value of the next one: the same host. Its port is not free any more. */
export function onSameHost(earlier: unknown): unknown {
  return typeof earlier === 'string' ? earlier.replace(/^(https?:\/\/[^/]+):\d+\/?$/, '$1') : earlier
}
