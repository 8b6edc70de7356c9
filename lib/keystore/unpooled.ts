/** A copy that owns its memory: a Buffer shares its pool with others, and the whole pool would travel between threads. */
export function unpooled(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}
