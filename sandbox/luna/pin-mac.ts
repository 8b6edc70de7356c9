/**
 * SipHash-2-4 of a PIN under the partition's own key, as pins.c computes it: two tries with one PIN are seen to be that, and
 * the PIN itself is nowhere in the memory.
 */
const mask = (1n << 64n) - 1n
const turned = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & mask

/** @param key four words, least significant first @returns 16 hexadecimal digits */
export function pinMac(key: readonly number[], pin: string): string {
  const [k0, k1] = [0, 2].map((at) => BigInt(key[at] ?? 0) | (BigInt(key[at + 1] ?? 0) << 32n)) as [bigint, bigint]
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n
  ]
  const round = (times: number): void => {
    for (let done = 0; done < times; done++) {
      v0 = (v0 + v1) & mask
      v1 = turned(v1, 13n) ^ v0
      v0 = turned(v0, 32n)
      v2 = (v2 + v3) & mask
      v3 = turned(v3, 16n) ^ v2
      v0 = (v0 + v3) & mask
      v3 = turned(v3, 21n) ^ v0
      v2 = (v2 + v1) & mask
      v1 = turned(v1, 17n) ^ v2
      v2 = turned(v2, 32n)
    }
  }
  const text = Buffer.from(pin)
  const padded = Buffer.alloc(Math.floor(text.length / 8) * 8 + 8)
  text.copy(padded)
  padded[padded.length - 1] = text.length & 0xff
  for (let at = 0; at < padded.length; at += 8) {
    const block = padded.readBigUInt64LE(at)
    v3 ^= block
    round(2)
    v0 ^= block
  }
  v2 ^= 0xffn
  round(4)
  return (v0 ^ v1 ^ v2 ^ v3).toString(16).padStart(16, '0')
}
