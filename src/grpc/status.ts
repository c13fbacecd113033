import type { ServiceError } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { Failure } from '../core/failure.ts';

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
