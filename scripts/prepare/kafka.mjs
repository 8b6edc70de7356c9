import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './find-program.mjs'
import { doing, say } from './report.mjs'
import { runQuietly } from './run-quietly.mjs'

export function kafkaJarsAreHere(root) {
  const stamp = join(jarFolder(root), '.stamp')
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === pomHash(root)
}

/** Not having them is no failure: the sandbox then starts a mock broker, and says so. */
export async function provideKafkaJars(root) {
  if (findProgram('mvn') === null) return say('No Maven, so no Apache Kafka: the sandbox will use a mock broker')
  const folder = jarFolder(root)
  const fresh = `${folder}.${process.pid}`
  try {
    await doing("Fetching Apache Kafka's jars with Maven", async () => {
      mkdirSync(join(root, '.cache/kafka'), { recursive: true })
      const pom = join(root, 'sandbox/kafka/pom.xml')
      const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`]
      await runQuietly('mvn', ['-B', '-q', '-f', pom, ...goal], { cwd: root, timeout: 300_000 })
      writeFileSync(join(fresh, '.stamp'), pomHash(root))
      rmSync(folder, { recursive: true, force: true })
      renameSync(fresh, folder)
    })
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    const why = /^.*\[ERROR\] (.*)$/m.exec(error.message)?.[1] ?? error.message
    say(`Apache Kafka's jars cannot be had, so the sandbox will use a mock broker: ${why}`)
  }
}

function jarFolder(root) {
  return join(root, '.cache/kafka/libs')
}

function pomHash(root) {
  return createHash('sha256')
    .update(readFileSync(join(root, 'sandbox/kafka/pom.xml')))
    .digest('hex')
}
