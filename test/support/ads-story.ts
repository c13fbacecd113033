import { type AdsStream, createAdsStream } from '../../src/xds/ads-stream.ts';
import type { AdsVariant, Push } from '../../src/xds/ads-variant.ts';
import { createRefusals, type Refusals } from '../../src/xds/refusals.ts';
import { ofEachType, type ResourceType, TYPE_URLS } from '../../src/xds/resource-types.ts';
import type { ResourceSet, Snapshot } from '../../src/xds/snapshot.ts';

/** name → version */
export type Versions = Readonly<Record<string, string>>;
let positions = 0;

/** `seq` of the snapshot that was made last */
export const lastSeq = (): number => positions;

export function aSnapshot(types: Partial<Record<ResourceType, Versions>>): Snapshot {
  positions += 1;
  const set = (versions: Versions = {}): ResourceSet =>
    new Map(
      Object.entries(versions).map(([name, version]) => [
        name,
        { name, version, resource: { typeUrl: 'x', bytes: new Uint8Array() }, source: {} },
      ]),
    );
  return {
    position: { epoch: 1, seq: positions, digest: `sha256:${'0'.repeat(64)}` },
    types: ofEachType((type) => set(types[type])),
  };
}

export interface AdsStory<Request> {
  readonly stream: AdsStream<Request>;
  /** what has been sent since the last time */
  fresh(): readonly Push[];
  /** what the stream has told of itself since the last time */
  events(): readonly string[];
  /** of the last response of a type */
  nonceOf(type: ResourceType): string;
  /** whether the transport says that it is full */
  fill(isFull: boolean): void;
}

/** A stream without transport, of which all is written down. */
export function tellStory<Request extends { readonly typeUrl: string }>(
  variant: AdsVariant<Request>,
  holdMs = 60_000,
  maxSubscriptions = 100,
  refusals: Refusals = createRefusals(),
): AdsStory<Request> {
  const sent: Push[] = [];
  const told: string[] = [];
  let full = false;
  let [sentSeen, toldSeen] = [0, 0];
  const stream = createAdsStream({
    variant,
    write: (push) => {
      sent.push(push);
      return !full;
    },
    events: {
      sent: () => {},
      acked: (type) => told.push(`acked ${type}`),
      nacked: (type, _version, names, reason) => told.push(`nacked ${type} ${names.join(' ')}: ${reason}`),
      inSync: ({ position }) => told.push(`in sync at ${position.seq}`),
      recalled: () => told.push('recalled'),
    },
    refusals,
    holdMs,
    limits: { maxSubscriptions, maxTypes: 10 },
  });
  return {
    stream,
    fresh: () => sent.slice(sentSeen, (sentSeen = sent.length)),
    events: () => told.slice(toldSeen, (toldSeen = told.length)),
    nonceOf: (type) => sent.findLast(({ typeUrl }) => typeUrl === TYPE_URLS[type])?.nonce ?? 'none',
    fill: (isFull) => {
      full = isFull;
    },
  };
}
