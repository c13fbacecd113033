import type { ServiceError } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import { Failure } from '../core/failure.ts';

/** An RPC that ends with a status of the handler's own choice, where the table of Failures has no row for it. */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure';
  /** google.rpc.Code */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The gRPC status of a Failure, as grpc-js takes it: from a handler's callback, or as the `error` of a stream. */
export function toGrpcStatus(failure: Failure): ServiceError {
  const metadata = new Metadata();
  metadata.set('chancery-code', failure.code);
  return Object.assign(new Error(failure.detail), {
    code: failure.row.grpc,
    details: failure.detail,
    metadata,
  });
}

/** The same of whatever a handler throws. */
export function thrownToGrpcStatus(thrown: unknown): ServiceError {
  if (!(thrown instanceof RpcFailure)) return toGrpcStatus(Failure.from(thrown));
  const { code, message } = thrown;
  return Object.assign(new Error(message), { code, details: message, metadata: new Metadata() });
}
