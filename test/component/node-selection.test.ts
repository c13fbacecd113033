import { credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { type EnvoyMessages, loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { openAdsClient, openSotwClient } from '../support/ads-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { issueNode } from '../support/tls-files.ts';

const LISTENER = { address: '127.0.0.1', port: 10_000 };
/** Whatever another control plane might select by: all of it speaks for node `other`. */
const MISLEADING: JsonObject = {
  cluster: 'other',
  metadata: {
    id: 'other',
    node: 'other',
    node_id: 'other',
    cluster: 'other',
    services: ['theirs'],
    role: 'edge',
  },
  dynamicParameters: { 'type.googleapis.com/envoy.config.cluster.v3.Cluster': { params: { node: 'other' } } },
  locality: { region: 'other', zone: 'other', subZone: 'other' },
  userAgentName: 'other',
};
const ADS = {
  delta: { open: openAdsClient, type: 'DeltaDiscoveryRequest', names: 'resourceNamesSubscribe' },
  'state-of-the-world': { open: openSotwClient, type: 'DiscoveryRequest', names: 'resourceNames' },
} as const;

let messages: EnvoyMessages;
let stack: Stack;
const closers: (() => void)[] = [];

beforeAll(() => {
  messages = loadEnvoyMessages();
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe.each([
  ['the certificate', true],
  ['node.id', false],
])('a node is what %s says', (_what, mtls) => {
  beforeAll(async () => {
    stack = await startStack({ mtls });
    await stack.putService('ours', {});
    await stack.putService('theirs', {});
    await stack.putNode('edge', { services: ['ours'], listener: LISTENER });
    await stack.putNode('other', { services: ['theirs'], listener: LISTENER });
  });
  afterAll(() => stack.stop());

  const tls = async (id: string) => {
    if (stack.mtls === undefined) return credentials.createInsecure();
    const { certificate, privateKey } = await issueNode(stack.mtls, id);
    const ca = Buffer.from(stack.mtls.authority.certificate);
    return credentials.createSsl(ca, Buffer.from(privateKey), Buffer.from(certificate));
  };
  /** The routes and clusters that a new stream is given, as JSON. */
  const given = async (variant: keyof typeof ADS, id: string, node: JsonObject = {}): Promise<string> => {
    const { open, type, names } = ADS[variant];
    const client = open(stack.app.ports.control ?? 0, messages, await tls(id));
    closers.push(() => client.close());
    const ask = async (resourceType: string, wanted: readonly string[]) => {
      const request = {
        '@type': `envoy.service.discovery.v3.${type}`,
        node: { id, ...node },
        typeUrl: `type.googleapis.com/envoy.config.${resourceType}`,
        [names]: wanted,
      };
      client.sendBytes(messages.encodeResource(request).bytes);
      const { resources } = await client.next();
      return resources.map((each) => messages.decodeResource('resource' in each ? each.resource : each));
    };
    const resources = {
      clusters: await ask('cluster.v3.Cluster', []),
      routes: await ask('route.v3.RouteConfiguration', ['chancery']),
    };
    return JSON.stringify(resources, undefined, 1);
  };

  it.each(Object.keys(ADS) as (keyof typeof ADS)[])(
    'and its metadata, cluster and locality select nothing (%s)',
    async (variant) => {
      const edge = await given(variant, 'edge');
      expect(edge).toContain('"service.ours"');
      expect(edge).not.toContain('theirs');
      expect(await given(variant, 'other')).toContain('theirs');
      expect(await given(variant, 'edge', MISLEADING)).toBe(edge);
    },
  );
});
