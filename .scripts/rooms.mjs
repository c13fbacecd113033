// The direction of imports, as data: what each room may import besides itself, and which room alone may import a
// library. `check-imports.mjs` enforces it; src/README.md draws it.

/** @type {Record<string, readonly string[]>} */
export const rooms = {
  core: [],
  telemetry: ['core'],
  journal: ['core', 'telemetry'],
  rego: ['core', 'telemetry'],
  builtins: ['core'],
  outbound: ['core', 'telemetry', 'builtins'],
  audit: ['core', 'telemetry'],
  grpc: ['core', 'telemetry'],
  ops: ['core', 'telemetry'],
  supervise: ['core', 'telemetry'],
  store: ['core', 'telemetry', 'journal'],
  identity: ['core', 'telemetry', 'journal'],
  registry: ['core', 'telemetry', 'journal'],
  policy: ['core', 'telemetry', 'journal', 'rego', 'builtins', 'outbound'],
  decision: ['core', 'telemetry', 'identity', 'registry', 'policy', 'audit'],
  'ext-authz': ['core', 'telemetry', 'grpc', 'decision', 'audit'],
  xds: ['core', 'telemetry', 'grpc', 'journal', 'identity', 'registry'],
  admin: ['core', 'telemetry', 'journal', 'rego', 'identity', 'registry', 'policy', 'decision', 'xds'],
  client: [],
  config: ['core', 'telemetry'],
  node: ['core', 'client', 'supervise', 'identity', 'journal'],
  dev: ['core', 'config', 'client', 'supervise'],
  cli: [
    'core',
    'telemetry',
    'config',
    'client',
    'supervise',
    'dev',
    'node',
    'identity',
    'rego',
    'policy',
    'journal',
    'store',
    'admin',
  ],
};

/** Files any room may reach into `config` for, and the other way round: each room's options. */
export const optionsFiles = 'src/[^/]+/options\\.ts$';

/** Which rooms alone may import a library (a regular expression on its name). */
export const libraries = {
  '^canonicalize$': ['core'],
  '^(pino|prom-client)$|^@opentelemetry/': ['telemetry'],
  '^rotating-file-stream$': ['audit'],
  '^@grpc/|^@bufbuild/|^grpc-health-check$': ['grpc'],
  '^jose$': ['identity', 'dev'],
  '^lru-cache$': ['identity', 'builtins', 'outbound', 'policy'],
  '^@peculiar/x509$|^reflect-metadata$': ['identity'],
  '^@open-policy-agent/opa-wasm$|^modern-tar$|^piscina$': ['policy'],
  '^fastify$|^@fastify/': ['admin'],
  '^openapi-fetch$': ['client'],
  '^(commander|diff)$': ['cli'],
  '^yaml$': ['config', 'admin'],
  '^(node:)?sqlite$': ['store'],
  '^(node:)?child_process$': ['supervise'],
  '^(node:)?(http|https)$': ['ops', 'dev', 'client', 'outbound'],
};

/** Fewer modules than this means that the parser saw nothing, and "no violation" would mean nothing. */
export const MODULE_FLOOR = 180;
