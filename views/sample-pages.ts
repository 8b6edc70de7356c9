/** Pages as an administrator meets them, for the test of the views: each state of each page, with realistic values. */
import type { Finding } from '../server/checks/check.ts'
import { type StepId, stepIds } from '../server/steps/step.ts'
import { apiPage } from '../server/web/api/description-routes.ts'
import type { ProblemPage } from '../server/web/error-help.ts'
import { sectionsOf } from '../server/web/field-sections.ts'
import type {
  CodePage,
  CompleteModel,
  ErrorPage,
  FieldModel,
  FinishedPage,
  JobModel,
  JobPage,
  KmsPanel,
  Page,
  PasswordPage,
  PlanPage,
  Product,
  RecordPage,
  SetupPage
} from '../server/web/view-model.ts'

const product: Product = {
  name: 'KeyScaler',
  version: '0.1.0',
  build: '550a9cb',
  copyright: '© 2026 KeyScaler Setup contributors',
  vendor: { text: 'Device Authority', href: 'https://www.deviceauthority.com/' }
}

const plan: PlanPage = {
  product,
  steps: [{ id: 'database', title: 'Database Configuration' }],
  plan: {
    install: null,
    items: [
      { step: 'database', kind: 'schema', name: 'keyscaler', action: 'create', why: 'not done yet' },
      { step: 'database', kind: 'answers', name: 'database', action: 'create', why: 'not answered yet' }
    ],
    steps: ['database'],
    changed: true,
    hash: '0'.repeat(64)
  }
}

const problem: ProblemPage = {
  product,
  error: {
    code: 'conflict',
    status: 409,
    title: 'Conflict',
    means: 'Something has changed meanwhile.',
    todo: 'Look at what stands there now.'
  }
}

const titles: Readonly<Record<StepId, string>> = {
  welcome: 'Welcome',
  database: 'Database Configuration',
  kms: 'KMS Deployment',
  memcached: 'Memcached Configuration',
  account: 'Account Creation',
  license: 'System License',
  kafka: 'Apache Kafka Configuration',
  dae: 'DAE Deployment',
  mqs: 'Message Queue Service Deployment',
  cp: 'CP Deployment',
  complete: 'Setup Complete!'
}

const text = (name: string, label: string, value = '', more: Partial<FieldModel> = {}): FieldModel => ({
  name,
  label,
  control: 'text',
  value,
  ...more
})

const password = (name: string, label: string, more: Partial<FieldModel> = {}): FieldModel => ({
  name,
  label,
  control: 'password',
  value: '',
  secret: true,
  autocomplete: 'current-password',
  ...more
})

const host = (name: string, service: string, value: string): FieldModel[] => [
  text(name, `${service} Host Address`, value, {
    placeholder: `Example: https://${service.toLowerCase()}.serverfarm.com`,
    hint: 'The address, with its protocol, where it will be. The host name must resolve by DNS or /etc/hosts.'
  }),
  text('certificate', 'Certificate', '', {
    control: 'textarea',
    hint: 'PEM. Empty: the internal CA issues one.',
    placeholder: '-----BEGIN CERTIFICATE-----',
    optional: true,
    folded: 'Certificate'
  }),
  text('certificateKey', 'Private key', '', {
    control: 'textarea',
    secret: true,
    saved: true,
    optional: true,
    folded: 'Certificate'
  })
]

const gemalto = { onlyWhen: { field: 'keyStore', is: ['gemalto-safenet'] } }
const nss = { onlyWhen: { field: 'keyStore', is: ['nss'] } }

function kmsFields(keyStore = 'gemalto-safenet'): FieldModel[] {
  return [
    text('keyStore', 'Key Store Options', keyStore, {
      control: 'select',
      options: [
        { value: 'gemalto-safenet', label: 'Gemalto SafeNet' },
        { value: 'nss', label: 'Software-only NSSKeyStore module' }
      ],
      hint: 'An HSM is recommended: with the software module, keys are not HSM-protected.'
    }),
    text('slot', 'Gemalto SafeNet Slot Number', '3', { placeholder: '0', ...gemalto }),
    text('partition', 'Gemalto SafeNet Partition Name', 'HSMoDnFIPS', { placeholder: 'partition name', ...gemalto }),
    password('password', 'Gemalto SafeNet KeyStore Password', {
      hint: 'The current Crypto Officer password (after role changepw), not that of the Partition SO or the Crypto User.',
      saved: true,
      ...gemalto
    }),
    text('nssFolder', 'Key store folder', '', { placeholder: '/var/lib/keyscaler/nss', ...nss }),
    password('nssPassword', 'Key store password', { hint: 'At least 12 characters.', ...nss }),
    password('nssPasswordAgain', 'Key store password again', nss),
    ...host('kmsHost', 'KMS', 'https://kms.example.test').slice(0, 1),
    text('serial', 'Partition Serial Number', '', { optional: true, folded: 'HSM client', ...gemalto }),
    text('library', 'PKCS#11 library', '', { optional: true, folded: 'HSM client' }),
    text('confPath', 'Chrystoki.conf folder', '', { optional: true, folded: 'HSM client', ...gemalto }),
    ...host('kmsHost', 'KMS', '').slice(1)
  ]
}

const fields: Readonly<Record<StepId, readonly FieldModel[]>> = {
  welcome: [text('acceptTerms', 'I accept the Terms of Use', '', { control: 'checkbox' })],
  database: [
    text('dbHost', 'Database Host', '127.0.0.1'),
    text('dbPort', 'Database Port', '3306', { control: 'number' }),
    text('dbName', 'Database Name', 'keyscaler'),
    text('dbUser', 'Database User', 'setup'),
    password('dbPassword', 'Database Password', { saved: true }),
    text('dbTls', 'Use TLS', 'on', { control: 'checkbox', hint: 'Needed where the database is not on this server.' }),
    text('dbCa', 'Database CA', '', { control: 'textarea', onlyWhen: { field: 'dbTls', is: ['on', 'true'] } })
  ],
  kms: kmsFields(),
  memcached: [
    text('servers', 'Memcached Servers', '127.0.0.1:11211', { control: 'textarea', hint: 'host:port, one a line.' }),
    text('prefix', 'Key prefix', 'keyscaler:', { optional: true })
  ],
  account: [
    text('tenant', 'Account Name', 'acme'),
    text('fullName', 'Full name', 'Ada Lovelace', { autocomplete: 'name' }),
    text('email', 'E-mail', 'ada@example.test', { autocomplete: 'email' }),
    password('password', 'Password', { autocomplete: 'new-password' }),
    password('passwordAgain', 'Password again', { autocomplete: 'new-password' })
  ],
  license: [text('license', 'License', '', { control: 'textarea', hint: 'Paste the whole text of the license file.' })],
  kafka: [
    text('brokers', 'Brokers', '127.0.0.1:9092', { hint: 'host:port, one a line.', control: 'textarea' }),
    text('security', 'Security', 'PLAINTEXT', {
      control: 'select',
      options: ['PLAINTEXT', 'SSL', 'SASL_SSL'].map((value) => ({ value, label: value }))
    }),
    text('username', 'User name', '', { onlyWhen: { field: 'security', is: ['SASL_SSL'] } }),
    password('password', 'Password', { onlyWhen: { field: 'security', is: ['SASL_SSL'] } }),
    text('ca', 'CA certificate', '', { control: 'textarea', onlyWhen: { field: 'security', is: ['SSL', 'SASL_SSL'] } }),
    text('topicPrefix', 'Topic prefix', 'keyscaler'),
    text('partitions', 'Partitions', '6', { control: 'number' })
  ],
  dae: host('daeHost', 'DAE', 'https://dae.example.test'),
  mqs: host('mqsHost', 'MQS', 'https://mqs.example.test'),
  cp: host('cpHost', 'CP', 'https://cp.example.test'),
  complete: []
}

const kms: KmsPanel = {
  beforeYouBegin: [
    { text: 'Appliance and its admin password', state: 'not visible from here' },
    { text: 'Host name of the appliance', state: 'not visible from here' },
    { text: 'Network settings of the appliance', state: 'not visible from here' },
    { text: 'HSM initialised', state: 'seen' },
    { text: 'Certificates exchanged', state: 'seen' },
    { text: 'Client registered; vtl verify shows the partition', state: 'seen', command: 'vtl verify' },
    { text: 'Partition initialised', state: 'missing', command: 'par init -label HSMoDnFIPS' },
    { text: 'PED partitions: activation and auto-activation (policies 22 and 23)', state: 'not visible from here' }
  ],
  tested: [
    { what: 'Operating system', tested: 'CentOS 7.6', yours: 'Debian GNU/Linux 12 (bookworm)' },
    { what: 'Luna client', tested: '7.0', yours: 'Chrystoki 7.0' },
    { what: 'Appliance software', tested: '7.0.0-956', yours: 'not visible from here' },
    { what: 'HSM firmware', tested: '7.0.1 (DPoD: Cryptovisor7, 7.1.3)', yours: '7.1 (Cryptovisor7)' }
  ],
  remarks: [
    { verdict: 'pass', say: '/etc/Chrystoki.conf is read.' },
    {
      verdict: 'warn',
      say: 'The user that runs KeyScaler is not in the group hsmusers.',
      cure: 'Run `usermod --append --groups hsmusers keyscaler`, then start the wizard anew.'
    }
  ],
  clients: [
    {
      title: 'Luna client',
      module: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so',
      confPath: '/etc',
      inUse: true
    },
    {
      title: 'Data Protection on Demand client',
      module: '/opt/dpod/libs/64/libCryptoki2.so',
      confPath: '/opt/dpod',
      inUse: false
    }
  ],
  partitions: [
    { slot: 0, label: '', serial: '', model: 'Cryptovisor7', firmware: '7.1.3', flags: [], state: 'not initialized' },
    {
      slot: 3,
      label: 'HSMoDnFIPS',
      serial: '1285309841233',
      model: 'Cryptovisor7',
      firmware: '7.1.3',
      flags: ['RNG', 'LOGIN_REQUIRED', 'USER_PIN_INITIALIZED', 'TOKEN_INITIALIZED'],
      state: 'ready, Crypto Officer initialised'
    },
    {
      slot: 5,
      label: 'spare',
      serial: '1285309841299',
      model: 'Cryptovisor7',
      firmware: '7.1.3',
      flags: ['RNG', 'LOGIN_REQUIRED', 'USER_PIN_INITIALIZED', 'TOKEN_INITIALIZED'],
      state: 'ready'
    }
  ],
  failedLogins: { label: 'HSMoDnFIPS', known: 1, atMost: 10 }
}

const ladder: readonly Finding[] = [
  {
    id: 'kms.library-loads',
    title: 'Library loads',
    verdict: 'pass',
    say: 'Chrystoki, PKCS#11 2.20, loaded in its own process.',
    ms: 41
  },
  {
    id: 'kms.slot-present',
    title: 'Slot is there',
    verdict: 'fail',
    say: 'Slot 0 was not found; HSMoDnFIPS is in slot 3.',
    cure: 'Use slot 3, or make the client see slot 0: `vtl verify`.',
    ckr: { code: 0x3, name: 'CKR_SLOT_ID_INVALID' },
    guide: 'Guide: DPoD, item 14',
    field: 'slot',
    offer: { label: 'Use slot 3', values: { slot: '3', partition: 'HSMoDnFIPS' } },
    ms: 1240
  },
  { id: 'kms.login', title: 'Crypto Officer login', verdict: 'skip', say: 'Not reached.', ms: 0 },
  {
    id: 'kms.host-plain',
    title: 'Host address',
    verdict: 'warn',
    say: 'The address is http on loopback.',
    cure: 'Use https before anything else can reach this server.',
    ms: 3
  },
  {
    id: 'kms.fips',
    title: 'FIPS mode',
    verdict: 'info',
    say: 'FIPS mode is off; both modes are supported.',
    guide: 'Guide: DPoD, item 15',
    ms: 12
  }
]

const record: RecordPage = {
  product,
  caFingerprint: Array.from({ length: 32 }, () => 'AB').join(':'),
  record: {
    type: 'keyscaler install record',
    version: 1,
    install: '0b5e6f0e-8a7d-4a52-9e07-5a3a3b1f9c11',
    finishedAt: '2026-03-01T10:42:11.000Z',
    recordedAt: '2026-03-01T10:42:12.000Z',
    product: { version: '0.1.0', node: 'v24.1.0', system: 'Linux 6.1 x64', host: 'node1.example.test' },
    planHash: 'cd'.repeat(32),
    steps: [
      {
        id: 'kms',
        title: titles.kms,
        revision: 2,
        by: 'browser',
        answeredAt: '2026-03-01T10:40:00.000Z',
        appliedAt: '2026-03-01T10:40:05.000Z',
        answers: { keyStore: 'gemalto-safenet', partition: 'HSMoDnFIPS', note: '<b>&' },
        secretsKept: ['password'],
        checks: ladder.map(({ id, title, verdict, say, ms }) => {
          return { id, title, verdict, say, at: '2026-03-01T10:39:59.000Z', ms, skipped: null }
        })
      }
    ],
    keyStore: {
      profile: 'gemalto-safenet',
      label: 'HSMoDnFIPS',
      serial: '1285309841233',
      model: 'Cryptovisor7',
      firmware: '7.3.0',
      module: '/opt/dpod/libs/64/libCryptoki2.so',
      moduleSha256: 'ef'.repeat(32)
    },
    keys: [
      {
        id: 'ab'.repeat(16),
        purpose: 'tenant',
        tenant: 'acme',
        label: 'acme tenant key',
        algorithm: 'AES-256',
        version: 1,
        state: 'active',
        checkValue: 'a1b2c3'
      }
    ],
    certificates: [
      { name: 'kms.crt', subject: 'CN=KeyScaler kms', notAfter: '2028-03-01T10:42:11.000Z', sha256: 'AB:CD' }
    ],
    services: [],
    signingKey: { id: 'ab'.repeat(16), publicKey: '' }
  }
}

export const complete: CompleteModel = {
  keepsakes: { answers: '/answers.yaml', record: '/record' },
  verdict: { ok: true, text: 'All four services are healthy, and the master key is in the HSM.' },
  services: ['Key Management Service', 'Device Authority Engine', 'Message Queue Service', 'Control Panel'].map(
    (title, index) => ({
      title,
      address: `https://node1.example.test:${9443 + index}`,
      state: 'healthy',
      ok: true,
      lastCheck: '2026-03-01 10:42:11 UTC'
    })
  ),
  hsm: {
    hsmProtected: true,
    label: 'HSMoDnFIPS',
    serial: '1285309841233',
    slot: '3',
    fipsMode: 'unknown',
    masterKeyId: '9f4c5b1e0a7d4d2b8c61',
    decryptedAfterRestart: '2026-03-01 10:42:09 UTC'
  },
  caFingerprint: Array.from({ length: 32 }, (_, byte) => ((byte * 37) % 256).toString(16).padStart(2, '0')).join(':'),
  enrolCommand:
    'curl --cacert service-ca.crt --user device-001:"$SECRET" \\\n  --data-binary @device-001.p10 https://node1.example.test:9444/.well-known/est/simpleenroll',
  controlPanel: 'https://node1.example.test:9446/',
  stillToDo: [
    'Back up the HSM partition',
    'Back up the database',
    'Open the firewall for 9444/tcp and 9446/tcp',
    'DDKG packages: proprietary, not included'
  ]
}

/** The KMS is being deployed: two phases are done, the third waits. */
export const job: JobModel = {
  title: 'Next of KMS Deployment',
  self: '/setup/jobs/20260301T104001000Z',
  csrf: 'c3Jm.token',
  state: 'running',
  by: 'asked for by the browser',
  startedAt: '2026-03-01T10:40:01.000Z',
  since: '10:40:01 UTC',
  elapsedMs: 7400,
  waiting: { what: 'https://kms.example.test:9443/readyz', ms: 3200 },
  phases: (
    [
      'Master key in HSMoDnFIPS',
      'Service CA in HSMoDnFIPS',
      'Key Management Service: waiting until it is ready'
    ] as const
  ).map((title, at) => ({
    step: 'kms',
    title,
    state: at < 2 ? 'done' : 'running',
    startedAt: `2026-03-01T10:40:0${at + 2}.000Z`,
    ms: at < 2 ? 1000 : 3400,
    log:
      at < 2
        ? []
        : Array.from(
            { length: 12 },
            (_, line) => `10:40:0${4 + Math.floor(line / 4)} info the pool of sessions grows to ${line + 1}`
          )
  })),
  steps: [],
  stands: [],
  standsMore: 0,
  cancellable: true,
  retryable: false
}

const stoppedJob: JobModel = {
  ...job,
  state: 'failed',
  elapsedMs: 31_200,
  phases: job.phases.map((phase, at) => (at < 2 ? phase : { ...phase, state: 'failed', ms: 30_000 })),
  stoppedAt: 'Key Management Service: waiting until it is ready',
  stands: [
    'Key master',
    'Certificate authority service-ca',
    'Certificate kms',
    'Certificate wizard',
    'Service kms (begun, not finished)'
  ],
  problem: { detail: 'Key Management Service ended with code 1.', cure: 'Its log is /var/lib/keyscaler/logs/kms.log.' },
  cancellable: false,
  retryable: true,
  supportBundle: 'keyscaler support-bundle --state /var/lib/keyscaler'
}
const { waiting: _waiting, ...stopped } = stoppedJob
const { supportBundle: _bundle, ...cancelledJob } = stopped

/** Step `id` with the ones before it done. @param more what is different from a first, clean visit */
export function setupPage(id: StepId, more: Partial<SetupPage> = {}): SetupPage {
  const at = stepIds.indexOf(id)
  const before = stepIds[at - 1]
  return {
    product,
    steps: stepIds.map((step, index) => ({
      id: step,
      number: index + 1,
      title: titles[step],
      state: index < at ? 'done' : index === at ? 'current' : 'later',
      ...(index < at ? { href: `/setup/steps/${step}` } : {})
    })),
    step: {
      id,
      number: at + 1,
      title: titles[id],
      heading: id === 'kms' ? 'KMS Host Information' : titles[id],
      intro: 'Please answer the following questions to configure this part of KeyScaler.',
      ...(before === undefined ? {} : { back: `/setup/steps/${before}` })
    },
    sections: sectionsOf(fields[id]),
    errors: [],
    findings: [],
    canContinueAnyway: false,
    plan:
      id === 'kms'
        ? ['Create the master key, AES-256, in HSMoDnFIPS', 'Deploy the KMS at https://kms.example.test:9443']
        : [],
    notes: [],
    showOnce: [],
    csrf: 'c3Jm.token',
    revision: 7,
    ...(id === 'welcome' ? { welcome: welcomePanel } : {}),
    ...(id === 'kms' ? { kms } : {}),
    ...(id === 'kafka' ? { kafkaIsMock: true } : {}),
    ...(id === 'complete' ? { complete } : {}),
    ...more
  }
}

const welcomePanel: NonNullable<SetupPage['welcome']> = {
  host: [
    {
      what: 'Operating system',
      minimum: 'CentOS or RHEL 7.6',
      found: 'Debian GNU/Linux 12 (bookworm)',
      verdict: 'info'
    },
    { what: 'Architecture', minimum: 'x86-64', found: 'x86-64', verdict: 'pass' },
    { what: 'Cores', minimum: '8', found: '2', verdict: 'warn' },
    { what: 'Memory', minimum: '32 GB', found: '8 GB', verdict: 'warn' },
    { what: 'Disk', minimum: '1 TB', found: '120 GB', verdict: 'warn' },
    { what: 'Clock', minimum: 'synchronised', found: 'synchronised', verdict: 'pass' },
    { what: 'HSM client', minimum: '7.0', found: 'none in /usr/safenet/lunaclient or /opt/dpod', verdict: 'skip' }
  ],
  resume: { href: '/setup/steps/kms', title: 'KMS Deployment', number: 3 }
}

/** Every page and state, by name: template and model. */
export function samplePages(): Readonly<Record<string, { readonly template: string; readonly model: Page }>> {
  const steps = stepIds.map((id) => [id, { template: `/steps/${id}.eta`, model: setupPage(id) }] as const)
  const wrong = fields.kms.map((field) =>
    field.name === 'slot'
      ? { ...field, value: '0', error: 'Slot 0 was not found; HSMoDnFIPS is in slot 3.' }
      : field.name === 'kmsHost'
        ? { ...field, value: '', error: 'You must provide a value for Kms Hostname.' }
        : field.name === 'confPath'
          ? { ...field, error: 'Chrystoki.conf: LunaSA Client.ServerCAFile points to a missing file.' }
          : field
  )
  const code: CodePage = { product, csrf: 'c3Jm', codeFile: '/var/lib/keyscaler/setup-code' }
  const codeError: CodePage = { ...code, error: 'The setup code is not valid.' }
  const finished: FinishedPage = { product, complete }
  const passwordPage = (more: Partial<PasswordPage> = {}): PasswordPage => ({
    product,
    csrf: 'c3Jm',
    keyStore: { label: 'HSMoDnFIPS', serial: '1285309841233', slot: 3, hsm: true },
    failedLogins: { known: 1, atMost: 10 },
    kms: { state: 'latched', detail: 'sealed: PIN rejected' },
    ...more
  })
  const jobPage = (shown: JobModel, findings: readonly Finding[]): JobPage => {
    const { steps: list, step } = setupPage('kms')
    const steps = list.map((link) => (link.id === step.id ? { ...link, underWay: true as const } : link))
    return { product, steps, step, job: shown, findings }
  }
  const applyJob: JobModel = {
    ...stopped,
    title: 'An apply of several steps',
    by: 'asked for by an answers file',
    steps: stepIds.map((id, at) => ({
      id,
      title: titles[id],
      state: at < 2 ? 'done' : at === 2 ? 'failed' : 'not-begun'
    }))
  }
  const error: ErrorPage = {
    product,
    status: 409,
    title: 'This step has changed',
    detail: 'Another tab has saved this step since you opened it.',
    cure: 'Open the step again and look at what stands there now.',
    requestId: 'req-1f',
    back: { href: '/setup', text: 'Back to setup' }
  }
  return {
    ...Object.fromEntries(steps),
    'kms-error': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        sections: sectionsOf(wrong),
        errors: wrong.flatMap(({ name, error: words }) => (words === undefined ? [] : [{ field: name, text: words }])),
        findings: ladder
      })
    },
    'kms-warning': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        findings: ladder.filter(({ verdict }) => verdict !== 'fail' && verdict !== 'skip'),
        canContinueAnyway: true,
        notice: 'Another tab has changed this step; this is what stands there now.',
        notes: [{ kind: 'warning', text: 'The KMS will listen on https://kms.example.test:9443.' }]
      })
    },
    'kms-nss': { template: '/steps/kms.eta', model: setupPage('kms', { sections: sectionsOf(kmsFields('nss')) }) },
    'kms-no-partition': {
      template: '/steps/kms.eta',
      model: setupPage('kms', { kms: { ...kms, partitions: [], partitionsProblem: 'No HSM client was found.' } })
    },
    'kms-expired': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        errors: [{ text: 'The Crypto Officer password has expired.' }],
        findings: [
          {
            id: 'kms.round-trips',
            title: 'Encrypt, sign, random',
            verdict: 'fail',
            say: 'The Crypto Officer password has expired.',
            cure: 'Run `role changepw -name Crypto Officer` in lunacm, or change it here.',
            ckr: { code: 0xa3, name: 'CKR_PIN_EXPIRED' },
            ms: 12
          }
        ]
      })
    },
    'kms-pasted': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        kms: {
          ...kms,
          pasted: {
            understood: true,
            say: '2 partitions were read. Choose one.',
            fill: {},
            choices: [
              { title: 'Slot 3: HSMoDnFIPS', about: 'Serial 1285309841233 · Cryptovisor7', fill: { slot: '3' } },
              { title: 'Slot 5: spare', about: 'Serial 1285309841299', fill: { slot: '5', partition: 'spare' } }
            ]
          }
        }
      })
    },
    'kms-evidence': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        kms: {
          ...kms,
          evidence: {
            facts: [
              { label: 'Library', value: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so' },
              { label: 'SHA-256', value: '2b1f783d187be9265eaf0f1a3d1d0cf1e1a1a7c9e8d7c6b5a4f3e2d1c0b9a8f7' }
            ],
            used: [{ name: 'CKM_AES_GCM', number: '0x1087', sizes: '16–32', for: 'encrypt, decrypt' }],
            others: ['CKM_SHA256']
          }
        }
      })
    },
    'kms-pasted-nothing': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        kms: { ...kms, pasted: { understood: false, say: 'This is not what lunacm prints.', fill: {}, choices: [] } }
      })
    },
    'license-once': {
      template: '/steps/license.eta',
      model: setupPage('license', {
        showOnce: [
          { label: 'Participant id', value: '0b6c2f9e-4e52-4bb4-9d5a-0d6f7f1f9a11' },
          { label: 'Participant secret', value: 'q7Zr0VfVQ2mJ8x5c', secret: true }
        ]
      })
    },
    'mqs-attention': {
      template: '/steps/mqs.eta',
      model: setupPage('mqs', {
        steps: setupPage('mqs').steps.map((step) =>
          step.id === 'kafka' || step.id === 'dae' ? { ...step, state: 'attention' as const } : step
        )
      })
    },
    'complete-nss': {
      template: '/steps/complete.eta',
      model: setupPage('complete', {
        complete: {
          ...complete,
          verdict: { ok: false, text: 'One service is not healthy.' },
          services: complete.services.map((row, index) =>
            index === 1 ? { ...row, ok: false, state: 'not ready' } : row
          ),
          hsm: { ...complete.hsm, hsmProtected: false }
        }
      })
    },
    'job-running': {
      template: '/job.eta',
      model: jobPage(
        job,
        ladder.filter(({ verdict }) => verdict === 'info')
      )
    },
    'job-checking': {
      template: '/job.eta',
      model: jobPage({ ...job, title: 'Test of KMS Deployment', phases: [], elapsedMs: 900 }, [])
    },
    'job-cancelling': { template: '/job.eta', model: jobPage({ ...job, state: 'cancelling' }, []) },
    'job-failed': { template: '/job.eta', model: withoutStep(jobPage(applyJob, [])) },
    'kms-under-way': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        underWay: {
          title: 'Next of KMS Deployment',
          since: '10:40:01 UTC',
          by: 'asked for by the browser',
          href: job.self
        }
      })
    },
    'kms-failed': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        job: stopped,
        errors: [{ text: 'Key Management Service ended with code 1.' }],
        findings: [
          {
            id: 'kms.apply',
            title: 'KMS Deployment',
            verdict: 'fail',
            say: 'Key Management Service ended with code 1.',
            cure: 'Its log is /var/lib/keyscaler/logs/kms.log.',
            ms: 0
          }
        ]
      })
    },
    'kms-cancelled': {
      template: '/steps/kms.eta',
      model: setupPage('kms', {
        notice:
          'It was cancelled. Press Next again: answers that were saved are kept, and it goes on from where it stopped.',
        job: { ...cancelledJob, state: 'cancelled', phases: job.phases.slice(0, 2), stands: stopped.stands.slice(0, 2) }
      })
    },
    finished: { template: '/finished.eta', model: finished },
    record: { template: '/record.eta', model: record },
    'finished-later': { template: '/finished.eta', model: { product } },
    'password-code': {
      template: '/key-store-password.eta',
      model: passwordPage({ codeFile: '/var/lib/keyscaler/setup-code' })
    },
    password: { template: '/key-store-password.eta', model: passwordPage() },
    'password-error': {
      template: '/key-store-password.eta',
      model: passwordPage({ error: 'The password is not correct.', cure: 'Enter the current one.', findings: ladder })
    },
    'password-done': { template: '/key-store-password.eta', model: passwordPage({ done: true }) },
    code: { template: '/code.eta', model: code },
    'code-error': {
      template: '/code.eta',
      model: codeError
    },
    error: { template: '/error.eta', model: error },
    prerequisites: { template: '/help/prerequisites.eta', model: { product } },
    support: { template: '/help/support.eta', model: { product } },
    terms: { template: '/help/terms.eta', model: { product } },
    api: { template: '/api.eta', model: { ...apiPage(), product } },
    plan: { template: '/plan.eta', model: plan },
    problem: { template: '/help/problem.eta', model: problem }
  }
}

function withoutStep({ step: _step, ...page }: JobPage): JobPage {
  return page
}
