/** A CheckResponse, or the end of an RPC without one, in a form that can be compared and kept as JSON. */
import { status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import type { CheckAnswer, HeaderOption } from '../../support/check-client.ts';

export interface AnsweredHeader {
  readonly name: string;
  readonly value: string;
  /** left out: the zero value */
  readonly action?: string;
  readonly append?: boolean;
}

/** What is empty is left out. */
export interface Answer {
  /** of an RPC that failed; then there is nothing else */
  readonly rpc?: { readonly code: string; readonly message: string };
  readonly status?: number;
  readonly message?: string;
  readonly ok?: {
    readonly headers?: readonly AnsweredHeader[];
    readonly remove?: readonly string[];
    readonly responseHeaders?: readonly AnsweredHeader[];
    readonly setQuery?: readonly (readonly [string, string])[];
    readonly removeQuery?: readonly string[];
  };
  readonly denied?: {
    readonly status: string;
    readonly headers?: readonly AnsweredHeader[];
    readonly body?: string;
  };
  readonly metadata?: object;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function fromRpcError({ code, details }: ServiceError): Answer {
  return { rpc: { code: grpcStatus[code] ?? String(code), message: details } };
}

export function fromCheckAnswer(answer: CheckAnswer): Answer {
  const { status, ok_response: ok, denied_response: denied, dynamic_metadata: metadata } = answer;
  const message = (status as { readonly message?: string } | null)?.message ?? '';
  return {
    status: status?.code ?? 0,
    ...(message !== '' && { message }),
    ...(ok && {
      ok: {
        ...list('headers', headersOf(ok.headers)),
        ...list('remove', ok.headers_to_remove ?? []),
        ...list('responseHeaders', headersOf(ok.response_headers_to_add)),
        ...list(
          'setQuery',
          byName(ok.query_parameters_to_set ?? [], ({ key }) => key).map(
            ({ key, value }) => [key, value ?? ''] as const,
          ),
        ),
        ...list('removeQuery', ok.query_parameters_to_remove ?? []),
      },
    }),
    ...(denied && {
      denied: {
        status: denied.status?.code ?? '',
        ...list('headers', headersOf(denied.headers)),
        ...((denied.body ?? '') !== '' && { body: denied.body }),
      },
    }),
    ...(metadata && { metadata: plainStruct(metadata) }),
  };
}

/** Names in order: the plugin has them in the order of a Go map. Values of one name stay in theirs. */
function byName<T>(elements: readonly T[], name: (element: T) => string): readonly T[] {
  return elements.toSorted((one, other) => (name(one) < name(other) ? -1 : name(one) > name(other) ? 1 : 0));
}

function headersOf(options: readonly HeaderOption[] = []): readonly AnsweredHeader[] {
  return byName(options, ({ header }) => header.key).map(({ header, append, append_action: action }) => ({
    name: header.key,
    value: header.value ?? '',
    ...(action !== undefined && action !== 'APPEND_IF_EXISTS_OR_ADD' && { action }),
    ...(append?.value === true && { append: true }),
  }));
}

function list<K extends string, T>(key: K, elements: readonly T[]): { readonly [P in K]?: readonly T[] } {
  return elements.length === 0 ? {} : ({ [key]: elements } as { readonly [P in K]?: readonly T[] });
}

interface ProtoStruct {
  readonly fields?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

function plainStruct({ fields = {} }: ProtoStruct): Record<string, unknown> {
  return Object.fromEntries(
    byName(Object.entries(fields), ([key]) => key).map(([key, value]) => [key, plainValue(value)]),
  );
}

function plainValue(value: Readonly<Record<string, unknown>>): unknown {
  switch (value['kind']) {
    case 'nullValue':
    case undefined:
      return null;
    case 'structValue':
      return plainStruct(value['structValue'] as ProtoStruct);
    case 'listValue': {
      const { values = [] } = value['listValue'] as { values?: readonly Record<string, unknown>[] };
      return values.map(plainValue);
    }
    case 'stringValue': {
      const text = value['stringValue'] as string;
      return UUID.test(text) ? '<decision id>' : text;
    }
    default:
      return value[value['kind'] as string];
  }
}
