/** Configuration: a zod schema is the only definition; parsed once at start, every problem is named. */
import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { AppError, messageOf } from '../errors/app-error.ts'

/**
 * @param file path of a JSON file
 * @throws AppError invalid-input; `fields` holds each problem by its path
 */
export async function readConfig<Config>(schema: z.ZodType<Config>, file: string): Promise<Config> {
  let raw: unknown
  try {
    raw = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new AppError('invalid-input', `${file} cannot be read as JSON: ${messageOf(cause)}`, { cause })
  }
  // Read once in the life of a program: compiling the schema to functions would cost more.
  const parsed = schema.safeParse(raw, { jitless: true })
  if (parsed.success) return parsed.data
  const fields = Object.fromEntries(parsed.error.issues.map((issue) => [issue.path.join('.') || '_', issue.message]))
  const list = Object.entries(fields).map(([path, message]) => `${path}: ${message}`)
  throw new AppError('invalid-input', `${file} is not valid. ${list.join(' ')}`, { fields })
}
