/** A tar archive (POSIX ustar) of texts: regular files, 0600, of nobody. */

const block = 512

export interface TarFile {
  /** At most 100 bytes of ASCII. */
  readonly name: string
  readonly text: string
}

export function tarOf(files: readonly TarFile[], at: Date): Buffer {
  const parts = files.flatMap(({ name, text }) => {
    const content = Buffer.from(text)
    return [headerOf(name, content.length, at), content, Buffer.alloc((block - (content.length % block)) % block)]
  })
  // Two empty blocks end it.
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

function headerOf(name: string, size: number, at: Date): Buffer {
  const header = Buffer.alloc(block)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  header.write(name, 0, 100, 'ascii')
  header.write(octal(0o600, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(size, 12), 124)
  header.write(octal(Math.floor(at.getTime() / 1000), 12), 136)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
