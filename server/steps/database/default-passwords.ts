/** Passwords that come with products and guides: whoever reads the manual knows them, so they are refused (S32). */
const defaults: ReadonlySet<string> = new Set(
  (
    'root toor admin administrator password passw0rd p@ssw0rd p@ssword mysql mariadb database keyscaler dfactor ' +
    'deviceauthority changeme changeit changethis letmein welcome secret default qwerty qwertyui qwertyuiop asdfghjk ' +
    'abcdefgh abcdefghi rootroot rootpassword rootpass adminadmin mysqlroot mysqlpassword testtest example superuser ' +
    'trustno iloveyou monkey dragon server localhost'
  ).split(' ')
)

/** @param names the account and schema: as a password they are as good as none. Case, digits and signs at the end do not count. */
export function isDefaultPassword(password: string, names: readonly string[] = []): boolean {
  const lower = password.toLowerCase()
  const stem = lower.replace(/[\d\W_]+$/, '')
  const known = [lower, stem]
  // "12345678", "00000000", "!!!!!!!!": nothing but digits and signs up to 10, or one character again and again.
  if (stem === '' && (lower.length <= 10 || new Set(lower).size <= 2)) return true
  if (new Set(lower).size <= 2) return true
  return known.some((word) => defaults.has(word) || names.some((name) => name.toLowerCase() === word))
}
