/** File + environment + `--set` → one frozen, validated object. The only reader of the environment. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { Value } from 'typebox/value';
import { parse } from 'yaml';
import { canonicalIp, isAnyAddress } from '../core/ip-address.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { isLoopback } from '../core/loopback.ts';
import { schemaErrors } from '../core/schema-errors.ts';
import { isSocketPath, unixPath } from '../core/unix-address.ts';
import { type Config, configSchema } from './schema.ts';

/** Everything that is wrong with a configuration, at once, each with its place. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

export interface ConfigSources {
  /** path of a YAML or JSON file */
  readonly file?: string;
  /** `CHANCERY_<ROOM>__<KEY>`, for example `CHANCERY_ADMIN__PORT`; `process`: of this process */
  readonly env?: Readonly<Record<string, string | undefined>> | 'process';
  /** `path=value`, for example `admin.port=8181` */
  readonly set?: readonly string[];
}

type Tree = { [key: string]: unknown };
/** The part of a JSON Schema that finding a key by its environment name needs. */
interface SchemaNode {
  readonly properties?: object;
}

const ENV_PREFIX = 'CHANCERY_';

/**
 * @param unpinned  for `init` and `store verify`: what `serve` needs with a store may still be missing
 * @throws ConfigurationError
 */
export function loadConfig(sources: ConfigSources = {}, { unpinned = false } = {}): Config {
  const problems: string[] = [];
  const tree: Tree = sources.file === undefined ? {} : readFileTree(sources.file, problems);
  const overlay: Tree = {};
  const env = sources.env === 'process' ? process.env : (sources.env ?? {});
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || value === undefined) continue;
    const path = findEnvPath(configSchema, name.slice(ENV_PREFIX.length).split('__'));
    if (path === undefined) problems.push(`${name}: there is no such setting`);
    else setAt(overlay, path, value);
  }
  for (const assignment of sources.set ?? []) {
    const at = assignment.indexOf('=');
    if (at < 1) problems.push(`--set ${assignment}: write path=value`);
    else setAt(overlay, assignment.slice(0, at).split('.'), assignment.slice(at + 1));
  }
  merge(tree, Value.Convert(configSchema, overlay) as Tree);
  const complete = Value.Default(configSchema, tree);
  for (const error of schemaErrors(configSchema, complete)) {
    if (error.keyword === 'boolean') problems.push(`${error.instancePath}: there is no such setting`);
    else if (error.keyword !== 'additionalProperties')
      problems.push(`${error.instancePath || '/'}: ${error.message}`);
  }
  problems.push(...contradictions(complete as Unchecked, unpinned));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return deepFreeze(complete as Config);
}

function readFileTree(file: string, problems: string[]): Tree {
  try {
    const tree: unknown = parse(readFileSync(file, 'utf8')) ?? {};
    if (isJsonObject(tree)) return tree as Tree;
    problems.push(`${file}: must hold an object`);
  } catch (error) {
    problems.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {};
}

/** The same keys with whatever stands there: what is wrong elsewhere is told in one go with the rest. */
type Unchecked = { readonly [Key in keyof Config]?: Readonly<Record<string, unknown>> | null };

const LISTENERS = ['authz', 'control', 'admin', 'ops'] as const;

/** @returns what a listener would have to have for others to reach it; undefined: it has that */
function whatIsMissing(
  listener: (typeof LISTENERS)[number],
  tls: JsonObject | undefined,
): string | undefined {
  if (listener === 'ops') return 'TLS, which this port cannot have';
  if (listener === 'admin') return tls === undefined ? 'TLS (`tls`)' : undefined;
  return tls?.['clientCaFile'] === undefined && tls?.['enrolledNodes'] !== true
    ? 'verified client certificates (`tls.enrolledNodes` or `tls.clientCaFile`)'
    : undefined;
}

/** What no schema of one field can say. */
function contradictions(config: Unchecked, unpinned: boolean): string[] {
  const problems: string[] = [];
  for (const listener of LISTENERS) {
    const options = config[listener] ?? {};
    const { address, insecure } = options;
    const tls = isJsonObject(options['tls']) ? options['tls'] : undefined;
    const need = whatIsMissing(listener, tls);
    if (typeof address === 'string' && !isLocal(address) && insecure !== true && need !== undefined) {
      const aloud = 'or `insecure: true` to say it aloud';
      problems.push(`/${listener}/address: ${address} is not a loopback address; it needs ${need}, ${aloud}`);
    }
    problems.push(...unixProblems(listener, options).map((problem) => `/${listener}/${problem}`));
    if (tls?.['trustDomain'] !== undefined && tls['clientCaFile'] === undefined)
      problems.push(`/${listener}/tls/trustDomain: means nothing without clientCaFile`);
  }
  problems.push(...placeProblems(config));
  problems.push(...auditProblems(config));
  if (config.store !== undefined && !unpinned) {
    if (config.journal?.['genesis'] === undefined)
      problems.push('/journal/genesis: with a store it is needed (`chancery init` prints it)');
    const isAdmin = Array.isArray(config.roles) && config.roles.includes('admin');
    if (isAdmin && config.journal?.['signingKeyFile'] === undefined) {
      problems.push('/journal/signingKeyFile: role admin with a store needs it (`chancery init` writes it)');
    }
    if (config.state !== undefined) problems.push('/state: is for `serve` without a store only');
  }
  return problems;
}

/** @returns what speaks against an address that is a Unix socket, or against a mode of one that there is not */
function unixProblems(
  listener: (typeof LISTENERS)[number],
  { address, tls, socketMode }: Readonly<Record<string, unknown>>,
): string[] {
  const path = typeof address === 'string' ? unixPath(address) : undefined;
  const isForNodes = listener === 'authz' || listener === 'control';
  if (path === undefined) {
    // nodes are told it as it is, and a node that is told a name refuses it
    const isName = isForNodes && typeof address === 'string' && isIP(address) === 0;
    return [
      ...(isName ? ['address: must be an IP address, or unix:/path'] : []),
      ...(socketMode === undefined ? [] : ['socketMode: means nothing without a Unix socket']),
    ];
  }
  if (!isForNodes) return ['address: this port cannot be a Unix socket'];
  return [
    ...(isSocketPath(path)
      ? []
      : ['address: the path of a Unix socket begins with / and has at most 107 bytes']),
    ...(tls === undefined ? [] : ['tls: a Unix socket has none']),
  ];
}

/** @returns what speaks against where decisions are to go */
function auditProblems({ audit, telemetry }: Unchecked): string[] {
  const problems: string[] = [];
  const http = audit?.['http'];
  if (audit?.['otlp'] !== undefined && telemetry?.['otlp'] === undefined)
    problems.push('/audit/otlp: needs telemetry.otlp.url');
  const isSecret = isJsonObject(http) && http['tokenFile'] !== undefined;
  if (isSecret && !isSafeUrl(http['url']))
    problems.push(
      '/audit/http/tokenFile: the token could be read on the way; `url` must be https, or loopback',
    );
  const otlp = telemetry?.['otlp'];
  if (isJsonObject(otlp) && otlp['headersFile'] !== undefined && !isSafeUrl(otlp['url']))
    problems.push('/telemetry/otlp/headersFile: could be read on the way; `url` must be https, or loopback');
  return problems;
}

function isSafeUrl(text: unknown): boolean {
  const url = typeof text === 'string' ? URL.parse(text) : null;
  return url?.protocol === 'https:' || isLoopback((url?.hostname ?? '').replace(/^\[|\]$/g, ''));
}

/** @returns what speaks against where nodes are told to come to */
function placeProblems({ authz, control }: Unchecked): string[] {
  const problems: string[] = [];
  const { address } = authz ?? {};
  const isUnix = typeof address === 'string' && unixPath(address) !== undefined;
  if (isUnix && address === control?.['address'])
    problems.push('/control/address: is the Unix socket of authz already');
  const announced = authz?.['announce'];
  if (!isJsonObject(announced)) return problems;
  const { address: told, port } = announced;
  if (typeof told === 'string' && (canonicalIp(told) === undefined || isAnyAddress(told)))
    problems.push('/authz/announce/address: must be the IP address of this process, without a zone');
  if (isUnix && port === undefined)
    problems.push('/authz/announce/port: is needed, since a Unix socket has none');
  return problems;
}

function isLocal(address: string): boolean {
  return isLoopback(address) || unixPath(address) !== undefined;
}

/** `SIGNING_KEY_FILE` finds `signingKeyFile`. */
function findEnvPath(schema: SchemaNode, names: readonly string[]): readonly string[] | undefined {
  const [name, ...rest] = names;
  if (name === undefined) return [];
  const wanted = name.replaceAll('_', '').toLowerCase();
  const found = Object.entries(schema.properties ?? {}).find(([key]) => key.toLowerCase() === wanted);
  if (found === undefined) return undefined;
  const [key, below] = found;
  const path = findEnvPath(below as SchemaNode, rest);
  return path === undefined ? undefined : [key, ...path];
}

function setAt(tree: Tree, path: readonly string[], value: unknown): void {
  let node = tree;
  for (const key of path.slice(0, -1)) {
    const next = node[key];
    node = isTree(next) ? next : (node[key] = {});
  }
  node[path.at(-1) ?? ''] = value;
}

function merge(target: Tree, source: Tree): void {
  for (const [key, value] of Object.entries(source)) {
    const there = target[key];
    if (isTree(there) && isTree(value)) merge(there, value);
    else target[key] = value;
  }
}

function isTree(value: unknown): value is Tree {
  return isJsonObject(value);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
