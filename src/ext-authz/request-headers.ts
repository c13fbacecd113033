/**
 * The headers of a request, from `headers`, from `header_map` (`encode_raw_headers`), or from both. Most requests are
 * decided by a few of them, so these are looked for in the bytes, and a table of all is made only for who reads all.
 */
import { Failure } from '../core/failure.ts';
import type { InputReads } from '../core/input-reads.ts';
import { expectSpread, FEW_NAMES } from './key-spread.ts';
import { listAt, type MadeMap, type Message, mapAt, messageAt, spanAt } from './protobuf-message.ts';
import { isUtf8Part } from './protobuf-reader.ts';
import type { Span } from './span.ts';
import { WireMap } from './wire-map.ts';

const NOWHERE: Span = { start: 0, end: 0 };
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const TO_LOWER = 0x20;
const LAST_ASCII = 0x7f;

export class RequestHeaders {
  readonly #bytes: Buffer;
  readonly #plain: WireMap<Message>;
  readonly #raw: readonly Message[];
  #merged: MadeMap | undefined;

  constructor(bytes: Buffer, http: Message | undefined) {
    this.#bytes = bytes;
    this.#plain = mapAt(http, 3) ?? new WireMap(bytes);
    this.#raw = listAt(messageAt(http, 13), 1);
  }

  /**
   * That it can be told which headers there are.
   *
   * @throws Failure request_malformed  when a name stands in both forms, and nobody could tell which one the upstream
   *         gets; when names were chosen to collide
   */
  expectClear(): void {
    const [plain, raw] = [this.#plain.size, this.#raw.length];
    if (raw > 0 && (plain > 0 || raw > FEW_NAMES)) this.#merge();
    else if (plain > FEW_NAMES) expectSpread(namesOf(this.#plain));
  }

  /** Every value of a header, in both forms. @param name  in lower case */
  values(name: string): readonly string[] {
    const plain = this.#plain;
    const entries = plain.distinct().filter((entry) => isNamed(this.#bytes, plain.keyAt(entry), name));
    return [...this.#rawValues(name), ...entries.map((entry) => plain.valueAt(entry))].map((value) =>
      this.#text(value),
    );
  }

  /**
   * A header as a policy sees it: values of `header_map` in one, joined with `,`.
   *
   * @throws Failure  as `expectClear`
   */
  get(name: string): Span | string | undefined {
    if (this.#raw.length > 0) return this.#plain.size > 0 ? this.#merge().get(name) : this.#join(name);
    const entry = this.#plain.find(name);
    return entry < 0 ? undefined : this.#plain.valueAt(entry);
  }

  /** As `get`. */
  text(name: string): string | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : this.#text(value);
  }

  /** whether some came in `header_map`, so that what came in `headers` is not all */
  get areRaw(): boolean {
    return this.#raw.length > 0;
  }

  /**
   * What of the headers is read, for the place of `headers`.
   *
   * @throws Failure  as `expectClear`
   */
  toShow(reads: InputReads): MadeMap {
    if (reads === true) return this.#merge();
    const shown = new Map<string, Span | string>();
    for (const name of reads.keys()) {
      const value = this.get(name);
      if (value !== undefined) shown.set(name, value);
    }
    return shown;
  }

  #join(name: string): Span | string | undefined {
    const [value, another] = this.#rawValues(name);
    if (value === undefined) return undefined;
    if (another === undefined) return this.#orText(value);
    return this.values(name).join(',');
  }

  #rawValues(name: string): readonly Span[] {
    const values: Span[] = [];
    for (const header of this.#raw) {
      if (isNamed(this.#bytes, spanAt(header, 1) ?? NOWHERE, name)) values.push(valueOf(header));
    }
    return values;
  }

  #merge(): MadeMap {
    this.#merged ??= this.#mergeAll();
    return this.#merged;
  }

  #mergeAll(): MadeMap {
    const headers = new Map<string, Span | string>();
    for (const header of this.#raw) {
      const key = this.#text(spanAt(header, 1) ?? NOWHERE).toLowerCase();
      const value = this.#orText(valueOf(header));
      const before = headers.get(key);
      headers.set(key, before === undefined ? value : `${this.#text(before)},${this.#text(value)}`);
    }
    const plain = this.#plain;
    for (const entry of plain.distinct()) {
      const key = plain.keyTextAt(entry);
      if (headers.has(key))
        throw new Failure('request_malformed', 'a header stands in headers and in header_map');
      headers.set(key, plain.valueAt(entry));
    }
    expectSpread(headers);
    return headers;
  }

  /** A raw value may be any bytes; what is not UTF-8 is replaced. */
  #orText(span: Span): Span | string {
    return isUtf8Part(this.#bytes, span.start, span.end) ? span : this.#text(span);
  }

  #text(value: Span | string): string {
    return typeof value === 'string' ? value : this.#bytes.toString('utf8', value.start, value.end);
  }
}

/** Envoy fills `raw_value` with `encode_raw_headers`, else `value`; never both. */
function valueOf(header: Message): Span {
  return spanAt(header, 3) ?? spanAt(header, 2) ?? NOWHERE;
}

function namesOf(map: WireMap<Message>): Parameters<typeof expectSpread>[0] {
  const entries = map.distinct();
  return { size: entries.length, keys: () => entries.map((entry) => map.keyTextAt(entry)) };
}

/** Whether a text is `name` once it is in lower case. */
function isNamed(bytes: Buffer, { start, end }: Span, name: string): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    // some other characters are ASCII in lower case, and their number may change
    if (byte > LAST_ASCII) return bytes.toString('utf8', start, end).toLowerCase() === name;
    const isUpper = byte >= UPPER_A && byte <= UPPER_Z;
    if ((isUpper ? byte + TO_LOWER : byte) !== name.charCodeAt(at - start)) return false;
  }
  return end - start === name.length;
}
