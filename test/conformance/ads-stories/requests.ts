/** What a step says, as a request of its variant: a plain object in the proto's own names. */
import { STORY_TYPES, type StoryType, type Variant } from './client.ts';

/** What a client remembers, over all its streams. */
export interface Memory {
  /** `name@edition` → version, of each type */
  readonly versions: Map<StoryType, ReadonlyMap<string, string>>;
  /** state of the world: the names of the last request */
  readonly names: Map<StoryType, readonly string[]>;
  /** state of the world: version of the last response that was accepted */
  readonly version: Map<StoryType, string>;
}

export interface Said {
  readonly type: StoryType;
  readonly tokens: readonly string[];
  /** undefined: the step says no node */
  readonly nodeId: string | undefined;
  readonly nonceOf: (which: string) => string;
  /** what an answer to a response says where the step says nothing else */
  readonly nonce?: string;
  readonly isError: boolean;
}

const FEATURES = ['xds.config.supports-resource-ttl', 'xds.config.supports-resource-in-sotw'];
const NEVER_SEEN = 'never-seen';

export function toRequest(variant: Variant, said: Said, memory: Memory): object {
  const { type, tokens } = said;
  const valueOf = (key: string): string | undefined =>
    tokens.find((token) => token.startsWith(`${key}:`))?.slice(key.length + 1);
  const nodeId = valueOf('node') ?? said.nodeId;
  const features = tokens.includes('wants-ttl') ? FEATURES : [];
  const nonce = valueOf('nonce');
  const base = {
    type_url: STORY_TYPES[type],
    ...(nodeId !== undefined && { node: { id: nodeId, client_features: features } }),
    response_nonce: nonce === undefined ? (said.nonce ?? '') : said.nonceOf(nonce),
    ...((said.isError || tokens.includes('error')) && {
      error_detail: { code: 3, message: 'the story refuses' },
    }),
  };
  const odd = [...(tokens.includes('empty') ? [''] : []), ...manyNames(Number(valueOf('many') ?? 0))];
  if (variant === 'sotw') {
    const names = tokens.includes('same')
      ? (memory.names.get(type) ?? [])
      : [...tokens.filter(isName), ...odd];
    memory.names.set(type, names);
    const version = valueOf('version') ?? 'last';
    const last = memory.version.get(type) ?? '';
    return { ...base, resource_names: names, version_info: version === 'last' ? last : version };
  }
  const versions = memory.versions.get(type);
  return {
    ...base,
    resource_names_subscribe: [...marked(tokens, '+'), ...odd],
    resource_names_unsubscribe: marked(tokens, '-'),
    initial_resource_versions: Object.fromEntries(
      marked(tokens, '=').map((text) => {
        const [name = '', edition] = text.split('@');
        return [name, edition === '?' ? NEVER_SEEN : (versions?.get(text) ?? `unheard of ${text}`)];
      }),
    ),
  };
}

function isName(token: string): boolean {
  return !/^(nonce|version|node|many):|^(same|error|empty|wants-ttl)$/.test(token);
}

function marked(tokens: readonly string[], sign: string): readonly string[] {
  return tokens.filter((token) => token.startsWith(sign)).map((token) => token.slice(1));
}

function manyNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `many.${index}`);
}
