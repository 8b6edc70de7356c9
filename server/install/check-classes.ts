/**
 * Which checks may be left out. Strict ones guard what cannot be made good again: no door, no reason and no tick goes past
 * them. Each check stands in exactly one of the two tables (a test sees to it), so that a new one is decided on.
 */

const keyStore = 'it is one look at the key store, and what it proves is what gets deployed'
const password = 'a wrong password counts at the partition, and too many lock it for good'
const token = 'keys would be made in a token that is not the one that was meant'
const signed = 'only a licence that passes is one'
const verdict = 'it is the verdict on the install'
const unencrypted = 'passwords would be sent to nobody knows whom'

/** By id: what would come of it. */
export const strictChecks: Readonly<Record<string, string>> = {
  'welcome.system': 'the services do not run there',
  'welcome.processor': 'the services and the HSM clients do not run there',
  'database.resolves': 'nothing can be kept without a database',
  'database.connects': 'nothing can be kept without a database',
  'database.tls': unencrypted,
  'database.login': 'nothing can be kept without a database',
  'database.storage': 'what is acknowledged could be lost',
  'database.schema': "another program's or another install's tables would be written to",
  'kms.library': keyStore,
  'kms.architecture': keyStore,
  'kms.loads': keyStore,
  'kms.runs-as': keyStore,
  'kms.initialises': keyStore,
  'kms.slot-present': token,
  'kms.token-present': token,
  'kms.token-initialised': token,
  'kms.partition-label': token,
  'kms.ha-group': token,
  'kms.identity': token,
  'kms.pin-state': password,
  'kms.login': password,
  'kms.role': password,
  'kms.mechanisms': keyStore,
  'kms.round-trips': keyStore,
  'kms.same-master-key': 'what the master key protects could not be opened any more',
  'kms.free-space': keyStore,
  'kms.ends': keyStore,
  'kms.protection': 'a software key store would pass for an HSM',
  'kms.folder': "somebody else's key store could be written to",
  'kms.master-key': 'what the master key protects could not be opened any more',
  'account.free': "another administrator's account would be taken over",
  'license.signature': signed,
  'license.product': signed,
  'license.dates': signed,
  'license.devices': signed,
  'dae.ca': 'a second device CA would be made beside the first',
  'complete.kms-healthy': verdict,
  'complete.dae-healthy': verdict,
  'complete.mqs-healthy': verdict,
  'complete.cp-healthy': verdict,
  'complete.fingerprints': verdict
}

/** By id: when there is a reason to. */
export const skippableChecks: Readonly<Record<string, string>> = {
  'welcome.cores': 'the sizing is known',
  'welcome.memory': 'the sizing is known',
  'welcome.disk': 'the sizing is known',
  'welcome.clock': 'the clock is kept by the host of a virtual machine',
  'welcome.hsm-client': 'the client comes later',
  'database.version': 'a server that is compatible and tells another number',
  'database.rights': 'no scratch table and no scratch user may be made there',
  'database.clock': 'the server shows the time of a proxy',
  'memcached.servers-answer': 'the servers come later: nothing is only in them',
  'kafka.brokers-answer': 'the cluster comes later',
  'kafka.encryption': 'the network is encrypted below',
  'kafka.metadata': 'the cluster comes later',
  'kafka.topics': 'the topics are made by somebody else',
  'kafka.record': 'no record may be sent there',
  'dae.ca-key': 'the token shall not be asked again',
  'kms.host-resolves': 'the name is entered later',
  'dae.host-resolves': 'the name is entered later',
  'mqs.host-resolves': 'the name is entered later',
  'cp.host-resolves': 'the name is entered later',
  'kms.port-free': 'who has the port gives it up before',
  'dae.port-free': 'who has the port gives it up before',
  'mqs.port-free': 'who has the port gives it up before',
  'cp.port-free': 'who has the port gives it up before',
  'kms.certificate': 'its root is not one of this machine',
  'dae.certificate': 'its root is not one of this machine',
  'mqs.certificate': 'its root is not one of this machine',
  'cp.certificate': 'its root is not one of this machine'
}
