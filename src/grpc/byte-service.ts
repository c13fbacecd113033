/**
 * gRPC methods over plain bytes: no `.proto` is loaded at run time, and a handler knows nothing of the transport.
 */
import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Failure } from '../core/failure.ts';
import { thrownToGrpcStatus, toGrpcStatus } from './status.ts';

/** A service with its handlers, ready for `createGrpcServer`. */
export interface GrpcService {
  /** full name, for example `envoy.service.auth.v3.Authorization`; its health is asked for by this name too */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** One unary call, as its handler sees it. */
export interface ByteCall {
  /** `address:port` of the other end; `unknown` when it has none */
  readonly peer: string;
  /** of the other end, verified, DER; the same object on each call of one connection */
  readonly certificate?: Uint8Array | undefined;
  /** from `grpc-timeout`, milliseconds since the epoch; Infinity without one */
  readonly deadlineMs: number;
  /** aborts when the caller has gone; made on first use */
  signal(): AbortSignal;
  /** the caller has gone */
  readonly isCancelled?: boolean;
  /** of the call itself, the first value; `name` in lower case */
  metadata?(name: string): string | undefined;
}

export type UnaryHandler = (request: Uint8Array, call: ByteCall) => Promise<Uint8Array>;
export type ByteStream = ServerDuplexStream<Uint8Array, Uint8Array>;

/** What the handler throws becomes the gRPC status of its Failure, or that of an RpcFailure. */
export function unaryService(name: string, method: string, handler: UnaryHandler): GrpcService {
  return byteService(name, { [method]: unaryCall(handler) }, false);
}

function unaryCall(handler: UnaryHandler): handleUnaryCall<Uint8Array, Uint8Array> {
  return (call, callback) => {
    handler(call.request, toByteCall(call)).then(
      (response) => callback(null, response),
      (thrown: unknown) => callback(thrownToGrpcStatus(thrown)),
    );
  };
}

/**
 * A service of bidirectional streams. A handler gets the stream of grpc-js: `on('data')`, `write`, `end` for a good
 * end, `failStream` for any other.
 */
export function streamService(
  name: string,
  methods: Readonly<Record<string, (stream: ByteStream) => void>>,
): GrpcService {
  return byteService(name, methods as Record<string, handleBidiStreamingCall<Uint8Array, Uint8Array>>, true);
}

/** A service with methods of both kinds. */
export function bothService(
  name: string,
  methods: {
    readonly unary: Readonly<Record<string, UnaryHandler>>;
    readonly streams: Readonly<Record<string, (stream: ByteStream) => void>>;
  },
): GrpcService {
  const unary = Object.fromEntries(
    Object.entries(methods.unary).map(([method, handler]) => [method, unaryCall(handler)]),
  );
  const one = byteService(name, unary, false);
  const other = streamService(name, methods.streams);
  return {
    name,
    definition: { ...one.definition, ...other.definition },
    implementation: { ...one.implementation, ...other.implementation },
  };
}

/** Ends a stream with the status of a Failure. (`destroy` would end it without telling the other side.) */
export function failStream(stream: ByteStream, failure: Failure): void {
  stream.emit('error', toGrpcStatus(failure));
}

function byteService(name: string, methods: UntypedServiceImplementation, streams: boolean): GrpcService {
  const definition = Object.fromEntries(
    Object.keys(methods).map((method) => [
      method,
      {
        path: `/${name}/${method}`,
        requestStream: streams,
        responseStream: streams,
        requestSerialize: asBuffer,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: asBuffer,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    ]),
  );
  return { name, definition, implementation: methods };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @returns DER; undefined when the other end has shown none, or none that could be verified */
export function verifiedCertificate(
  call: Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>,
): Uint8Array | undefined {
  return call.getAuthContext().sslPeerCertificate?.raw;
}

function toByteCall(call: ServerUnaryCall<Uint8Array, Uint8Array>): ByteCall {
  let signal: AbortSignal | undefined;
  return {
    peer: call.getPeer(),
    certificate: verifiedCertificate(call),
    deadlineMs: Number(call.getDeadline()),
    signal: () => (signal ??= untilCancelled(call)),
    get isCancelled() {
      return call.cancelled;
    },
    metadata(name) {
      const [value] = call.metadata.get(name);
      return typeof value === 'string' ? value : undefined;
    },
  };
}

function untilCancelled(call: ServerUnaryCall<Uint8Array, Uint8Array>): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once('cancelled', () => controller.abort());
  return controller.signal;
}
