/** Many pieces of bytes as one: thousands of small ones a second cost more to clone than to sign. */
export interface Packed {
  readonly lengths: readonly number[]
  /** One after the other; owns its memory. */
  readonly bytes: Uint8Array
}

export function pack(parts: readonly Uint8Array[]): Packed {
  const lengths = parts.map(({ length }) => length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return { lengths, bytes }
}

/** Views, not copies. */
export function unpack({ lengths, bytes }: Packed): Uint8Array[] {
  let at = 0
  return lengths.map((length) => {
    at += length
    return bytes.subarray(at - length, at)
  })
}
