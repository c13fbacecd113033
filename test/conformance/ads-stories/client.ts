/**
 * An independent little client of ADS: the packaged `.proto` files by proto-loader, nothing of ours. It does nothing by
 * itself, and holds each response to what must be true of every response.
 */
import { fileURLToPath } from 'node:url';
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';

export const STORY_TYPES = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  secrets: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  extensions: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  runtime: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
  unserved: 'type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration',
  '': '',
} as const;
export type StoryType = keyof typeof STORY_TYPES;
export type Variant = 'delta' | 'sotw';

const DEPS = fileURLToPath(new URL('../../../node_modules/@grpc/grpc-js-xds/deps/', import.meta.url));
const definitions = loadSync('envoy/service/discovery/v3/ads.proto', {
  includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((dir) => DEPS + dir),
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});
const METHODS = definitions['envoy.service.discovery.v3.AggregatedDiscoveryService'] as unknown as Record<
  'DeltaAggregatedResources' | 'StreamAggregatedResources',
  MethodDefinition<object, RawResponse>
>;

/** The members of both responses that we look at. */
interface RawResponse {
  readonly type_url: string;
  readonly nonce: string;
  readonly version_info?: string;
  readonly resources: readonly (RawAny & {
    readonly name?: string;
    readonly version?: string;
    readonly resource?: RawAny | null;
    readonly ttl?: object | null;
  })[];
  readonly removed_resources?: readonly string[];
  readonly control_plane?: { readonly identifier: string } | null;
}
interface RawAny {
  readonly type_url?: string;
  readonly value?: Buffer;
}

export interface SeenResponse {
  readonly type: StoryType;
  readonly nonce: string;
  /** state of the world: `version_info` */
  readonly version: string;
  /** `name@edition`, sorted */
  readonly resources: readonly string[];
  /** sorted */
  readonly removed: readonly string[];
  /** delta: `name@edition` → version */
  readonly versions: ReadonlyMap<string, string>;
}

export interface StoryStream {
  send(request: object): void;
  /** the next response that nobody has taken; undefined when none comes within `patienceMs` */
  next(patienceMs: number): Promise<SeenResponse | undefined>;
  /** puts back what was looked at too early */
  unread(response: SeenResponse): void;
  ended(patienceMs: number): Promise<number | undefined>;
  /** what was wrong with responses, whatever the story is */
  readonly wrongs: string[];
  /** of a type, oldest first */
  nonces(type: StoryType): readonly string[];
  pause(): void;
  resume(): void;
  close(): void;
}

export function openStoryStream(port: number, variant: Variant): StoryStream {
  const method = METHODS[variant === 'delta' ? 'DeltaAggregatedResources' : 'StreamAggregatedResources'];
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream: ClientDuplexStream<object, RawResponse> = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const responses: SeenResponse[] = [];
  const wrongs: string[] = [];
  const nonces: (readonly [StoryType, string])[] = [];
  let code: number | undefined;
  const waiters = new Set<() => void>();
  const wake = (): void => {
    for (const waiter of waiters) waiter();
  };

  stream.on('data', (raw: RawResponse) => {
    const seen = toSeen(raw);
    wrongs.push(...wrongsOf(raw, seen, variant));
    if (nonces.some(([, nonce]) => nonce === seen.nonce)) wrongs.push(`the nonce ${seen.nonce} came twice`);
    nonces.push([seen.type, seen.nonce]);
    responses.push(seen);
    wake();
  });
  stream.on('error', () => {});
  stream.on('status', (status) => {
    code = status.code;
    wake();
  });

  const until = async <T>(patienceMs: number, look: () => T | undefined): Promise<T | undefined> => {
    const end = performance.now() + patienceMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const leftMs = end - performance.now();
      if (leftMs <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, leftMs);
        function done(): void {
          clearTimeout(timer);
          waiters.delete(done);
          resolve();
        }
        waiters.add(done);
      });
    }
  };

  return {
    send: (request) => void stream.write(request),
    next: (patienceMs) => until(patienceMs, () => responses.shift()),
    unread: (response) => void responses.unshift(response),
    ended: (patienceMs) => until(patienceMs, () => code),
    wrongs,
    nonces: (type) => nonces.filter(([each]) => each === type).map(([, nonce]) => nonce),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    close() {
      stream.cancel();
      client.close();
    },
  };
}

function toSeen(raw: RawResponse): SeenResponse {
  const type = (Object.keys(STORY_TYPES) as StoryType[]).find((each) => STORY_TYPES[each] === raw.type_url);
  const named = raw.resources.map((each) => {
    const bytes = (each.resource ?? each).value ?? Buffer.alloc(0);
    return { text: `${nameIn(bytes)}@${editionIn(bytes)}`, version: each.version ?? '' };
  });
  return {
    type: type ?? '',
    nonce: raw.nonce,
    version: raw.version_info ?? '',
    resources: named.map(({ text }) => text).sort(),
    removed: [...(raw.removed_resources ?? [])].sort(),
    versions: new Map(named.map(({ text, version }) => [text, version])),
  };
}

function wrongsOf(raw: RawResponse, seen: SeenResponse, variant: Variant): readonly string[] {
  const names = seen.resources.map((text) => text.slice(0, text.lastIndexOf('@')));
  const wrongs: string[] = [];
  const hold = (isTrue: boolean, what: string): void => {
    if (!isTrue) wrongs.push(`${seen.type}: ${what}`);
  };
  hold(raw.nonce !== '', 'a response without nonce');
  hold(seen.type !== '', `a type that nobody knows: ${raw.type_url}`);
  hold(new Set(names).size === names.length, `a name twice in one response: ${names.join(' ')}`);
  hold(!seen.removed.some((name) => names.includes(name)), 'a name that is both sent and removed');
  hold(new Set(seen.removed).size === seen.removed.length, 'a name that is removed twice');
  hold((raw.control_plane?.identifier ?? '') !== '', 'control_plane says nothing');
  for (const each of raw.resources) {
    const any = variant === 'delta' ? (each.resource ?? {}) : each;
    hold(any.type_url === raw.type_url, `a resource of another type: ${String(any.type_url)}`);
    if (variant === 'sotw') continue;
    hold(each.name === nameIn(any.value ?? Buffer.alloc(0)), `a resource under another name: ${each.name}`);
    hold((each.version ?? '') !== '', 'a resource without version');
    hold(each.ttl === null || each.ttl === undefined, 'a resource with a TTL');
  }
  return wrongs;
}

/** Field 1 of each of these messages is its name. */
function nameIn(bytes: Buffer): string {
  if (bytes[0] !== 0x0a) return '';
  const length = bytes[1] ?? 0;
  return bytes.toString('utf8', 2, 2 + length);
}

/** The stage writes the edition into each resource. */
function editionIn(bytes: Buffer): string {
  return /edition-(\d+)/.exec(bytes.toString('latin1'))?.[1] ?? '?';
}
