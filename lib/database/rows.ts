/** Columns as MySQL and MariaDB give them (dateStrings on), turned into what everybody else speaks. */

/** A DATETIME (UTC) as ISO 8601; null stays null. */
export function isoOrNull(datetime: unknown): string | null {
  return datetime === null || datetime === undefined ? null : `${String(datetime).replace(' ', 'T')}Z`
}

/** A DATETIME (UTC) that is there. */
export function iso(datetime: unknown): string {
  return isoOrNull(datetime) ?? ''
}

/** MariaDB's JSON is text, MySQL's comes parsed. */
export function jsonColumn<T>(value: unknown): T {
  return (typeof value === 'string' ? JSON.parse(value) : value) as T
}
