/** Rows of MySQL as the pages and JSON show them. */

/** A DATETIME (UTC) as ISO 8601; null stays null. */
export function isoOrNull(datetime: unknown): string | null {
  return datetime === null || datetime === undefined ? null : `${String(datetime).replace(' ', 'T')}Z`
}

export function iso(datetime: unknown): string {
  return isoOrNull(datetime) ?? ''
}
