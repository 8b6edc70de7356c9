/** An answers file to begin with: every step and field, said in a comment, with the value that stands in an empty form. */
import { stringify } from 'yaml'
import type { DefinedStep } from '../steps/define-step.ts'
import type { FieldView } from '../steps/step.ts'

const head = `# Answers for keyscaler apply. Fields that are commented out may be left out.
# A value may stand elsewhere: {file: path}, {credential: name} (systemd LoadCredential=), {env: NAME}.
# A secret written into this file itself asks for mode 0600.
apiVersion: setup/v1
steps:
`

/** @returns YAML that reads back (readAnswersFile) once its blanks are filled in */
export function answersTemplate(steps: readonly DefinedStep[]): string {
  return head + steps.map(stepLines).join('')
}

function stepLines(step: DefinedStep): string {
  const fields = Object.entries(step.fields)
  const title = `  # ${step.title}\n`
  if (fields.length === 0) return `${title}  ${step.id}: {}\n`
  const first = Object.fromEntries(fields.map(([name, { initial }]) => [name, initial]))
  return `${title}  ${step.id}:\n${fields.map(([name, view]) => fieldLines(name, view, first)).join('')}`
}

function fieldLines(name: string, view: FieldView, first: Readonly<Record<string, string | undefined>>): string {
  const { label, hint, options, onlyWhen, optional = false } = view
  const choices = options === undefined ? '' : ` One of: ${options.map(({ value }) => value).join(', ')}.`
  const only = onlyWhen === undefined ? '' : ` Only when ${onlyWhen.field} is ${conditionOf(onlyWhen.is)}.`
  const asked = onlyWhen === undefined || onlyWhen.is.includes(first[onlyWhen.field] ?? '')
  const comment = `${label}.${hint === undefined ? '' : ` ${hint}`}${choices}${only}`
  return `    # ${comment}\n    ${optional || !asked ? '# ' : ''}${name}: ${written(view)}\n`
}

function conditionOf(values: readonly string[]): string {
  return values.includes('true') ? 'true' : values.join(' or ')
}

function written({ secret, initial, placeholder, control, label }: FieldView): string {
  if (control === 'checkbox') return 'false'
  if (secret === true) return '{ file: /path/of/a/0600/file }'
  if (control === 'textarea' && initial === undefined) return '{ file: /path/of/the/file }'
  if (control === 'number' && initial !== undefined) return initial
  return stringify(initial ?? placeholder?.replace(/^Example: /, '') ?? `<${label}>`).trimEnd()
}
