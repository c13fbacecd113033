/**
 * Nothing in a CheckRequest can crash or allow: messages that were damaged on purpose, over a real gRPC port of the
 * whole application with a compiled policy, against a strict decoder that we did not write. What the decoder refuses
 * is not allowed, and what it takes gets the answer that its own encoding of the same message gets.
 *
 * `MALFORMED_SEED=<number>` runs the messages of an earlier run again.
 */
import { type DescMessage, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aCheckRequest, type CheckAnswer, encodeCheckRequest } from '../support/check-client.ts';
import { MUTATION_KINDS, mutate, randomMessage, seededRandom } from '../support/check-mutations.ts';
import { type CheckPort, startCheckPort } from '../support/check-port.ts';
import { readFields } from '../support/check-wire.ts';
import { compileOracle } from '../support/oracle-schema.ts';

const SEED = Number(process.env['MALFORMED_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const MESSAGES = 1000;
/** strings of a megabyte are to be read, not refused for their length */
const LIMITS = ['authz.maxMessageBytes=16777216'];

/** Says what it saw, so that two answers are equal only if both messages meant the same. */
const policyWith = (pathCondition: string): string => `package envoy.authz

permitted if {
	input.attributes.request.http.method == "GET"
	${pathCondition}
}

seen := {
	"http": object.get(object.get(object.get(input, "attributes", {}), "request", {}), "http", {}),
	"path": input.parsed_path,
	"query": input.parsed_query,
	"body": input.parsed_body,
	"source": object.get(object.get(input, "attributes", {}), "source", {}),
	"extensions": object.get(object.get(input, "attributes", {}), "contextExtensions", {}),
}

allow := {"allowed": true, "headers": {"x-seen": "yes"}, "dynamic_metadata": seen} if permitted

allow := {"allowed": false, "dynamic_metadata": seen} if not permitted
`;
const POLICY = policyWith('startswith(input.attributes.request.http.path, "/public/")');
const POLICY_WITHOUT_PATH = policyWith('true');

const ALLOWED = encodeCheckRequest(
  aCheckRequest(
    {
      path: '/public/hello?name=a&name=b',
      headers: { 'content-type': 'application/json', 'x-request-id': '1', accept: '*/*' },
      body: '{"a":[1,2.50,{"b":"c"}]}',
      size: '24',
      id: '7',
    },
    {
      source: {
        address: { socket_address: { address: '10.0.0.1', port_value: 5000 } },
        principal: 'spiffe://mesh/app/a',
        labels: { tier: 'gold' },
      },
      destination: { address: { socket_address: { address: '10.0.0.2', port_value: 80 } } },
      context_extensions: { tier: 'gold', zone: 'b' },
      metadata_context: {
        filter_metadata: {
          m: { fields: { a: { listValue: { values: [{ numberValue: 1 }, { boolValue: true }] } } } },
        },
      },
      tls_session: { sni: 'example.test' },
    },
  ),
);

let oracle: DescMessage;
let port: CheckPort;
let withoutPath: CheckPort;

beforeAll(async () => {
  oracle = compileOracle('envoy/service/auth/v3/external_auth.proto', 'envoy.service.auth.v3.CheckRequest');
  [port, withoutPath] = await Promise.all([
    startCheckPort(POLICY, LIMITS),
    startCheckPort(POLICY_WITHOUT_PATH, LIMITS),
  ]);
});
afterAll(async () => {
  await Promise.all([port?.close(), withoutPath?.close()]);
});

/**
 * Where decoders of other languages disagree with this one we refuse, and that is safe: it reads a known field by its
 * table whatever wire type the tag has, and lets a value run over the end of the message that it stands in.
 */
const STRICTER = /wire type (?:of|in an entry of) |a length beyond the end|cut off/;

interface Verdict {
  readonly allowed: boolean;
  /** the answer without what differs from call to call */
  readonly answer: unknown;
  /** what a denial tells the caller */
  readonly body: string;
}

async function ask({ client }: CheckPort, bytes: Buffer): Promise<Verdict> {
  const { dynamic_metadata, ...answer } = await client.checkBytes(bytes);
  const { decision_id: _, ...metadata } = dynamic_metadata?.fields ?? {};
  return {
    allowed: isAllow(answer as CheckAnswer),
    body: answer.denied_response?.body ?? '',
    answer: { ...answer, metadata },
  };
}

function isAllow({ status, denied_response }: CheckAnswer): boolean {
  return (status?.code ?? 0) === 0 && !denied_response;
}

/** What the decoder reads: its own encoding of it, and whether the policy as it is meant permits it. */
interface Reading {
  readonly reencoded: Buffer;
  readonly permitted: boolean;
}
function read(bytes: Buffer): Reading | undefined {
  try {
    const message = fromBinary(oracle, bytes);
    const json = toJson(oracle, message) as {
      attributes?: { request?: { http?: { method?: string; path?: string } } };
    };
    const { method, path } = json.attributes?.request?.http ?? {};
    return {
      reencoded: Buffer.from(toBinary(oracle, message)),
      permitted: method === 'GET' && path?.startsWith('/public/') === true,
    };
  } catch {
    return undefined;
  }
}

interface Tally {
  refusedByDecoder: number;
  allowed: number;
  denied: number;
  stricter: number;
}

/** @returns what is wrong with the answer to one message, if anything */
async function differenceOf(asked: CheckPort, bytes: Buffer, tally: Tally): Promise<string | undefined> {
  const verdict = await ask(asked, bytes);
  const reading = read(bytes);
  if (reading === undefined) {
    tally.refusedByDecoder += 1;
    return verdict.allowed ? 'the decoder refuses it, and it is allowed' : undefined;
  }
  if (verdict.allowed && !reading.permitted)
    return 'it is allowed, and the decoder reads what is not permitted';
  const again = await ask(asked, reading.reencoded);
  if (JSON.stringify(sorted(again.answer)) !== JSON.stringify(sorted(verdict.answer))) {
    if (!verdict.body.includes('is not valid protobuf')) return 'its re-encoded form gets another answer';
    tally.stricter += 1;
    return STRICTER.test(verdict.body) ? undefined : `it is refused for another reason: ${verdict.body}`;
  }
  tally[verdict.allowed ? 'allowed' : 'denied'] += 1;
  return undefined;
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, member]) => [key, sorted(member)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

type NextMessage = (
  random: ReturnType<typeof seededRandom>,
  index: number,
) => { readonly bytes: Buffer; readonly how: string; readonly kind?: string };

async function differences(
  asked: CheckPort,
  next: NextMessage,
): Promise<{
  readonly found: readonly string[];
  readonly tally: Tally;
  /** kind of damage → how many messages of it have been asked about */
  readonly kinds: Readonly<Record<string, number>>;
}> {
  const tally = { refusedByDecoder: 0, allowed: 0, denied: 0, stricter: 0 };
  const random = seededRandom(SEED);
  const found: string[] = [];
  const kinds: Record<string, number> = {};
  for (let index = 0; index < MESSAGES; index += 1) {
    const { bytes, how, kind = how } = next(random, index);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    const difference = await differenceOf(asked, bytes, tally);
    if (difference !== undefined)
      found.push(`message ${index} (${how}): ${difference}: ${bytes.toString('hex').slice(0, 2000)}`);
  }
  return { found, tally, kinds };
}

const mutated: NextMessage = (random, index) => mutate(readFields(ALLOWED, oracle), random, index);

/** Of each kind that must occur, whatever the seed. */
const LEAST = {
  truncation: 50,
  'bit flips': 50,
  'wrong wire type': 50,
  'long varint': 50,
  'invalid UTF-8': 50,
  'repeated field': 50,
  'Struct of depth 10,000': 10,
  'string of 1 MiB': 10,
};

describe('malformed CheckRequests', () => {
  it('are never allowed, whatever 1,000 mutations of an allowed one are', async () => {
    expect((await ask(port, ALLOWED)).allowed).toBe(true);
    const { found, tally, kinds } = await differences(port, mutated);
    console.log(JSON.stringify({ test: 'mutated CheckRequests', seed: SEED, ...tally, kinds }));
    expect(found).toEqual([]);
    expect(Object.keys(kinds).toSorted()).toEqual([...MUTATION_KINDS].toSorted());
    const tooFew = Object.entries(LEAST).filter(([kind, least]) => (kinds[kind] ?? 0) < least);
    expect(tooFew).toEqual([]);
    expect((await ask(port, ALLOWED)).allowed).toBe(true);
    // each outcome has to happen, or the run says nothing
    expect(Math.min(tally.refusedByDecoder, tally.allowed, tally.denied)).toBeGreaterThan(20);
    expect(tally.stricter).toBeLessThan(MESSAGES / 10);
  }, 120_000);

  it('are never allowed, whatever 1,000 random messages are', async () => {
    const { found, tally } = await differences(port, randomMessage);
    console.log(JSON.stringify({ test: 'random CheckRequests', seed: SEED, ...tally }));
    expect(found).toEqual([]);
    expect(tally.allowed).toBe(0);
    expect((await ask(port, ALLOWED)).allowed).toBe(true);
    expect(Math.min(tally.refusedByDecoder, tally.denied)).toBeGreaterThan(30);
  }, 120_000);

  it('would be found: a policy without its condition on the path makes differences', async () => {
    const { found } = await differences(withoutPath, mutated);
    expect(found.length).toBeGreaterThan(10);
    expect(found.join('\n')).toContain('the decoder reads what is not permitted');
  }, 120_000);
});
