import type { Code } from "./fault.ts";

/** Status codes over HTTP by those of gRPC. */
export const HTTP_STATUS: Readonly<Record<Code, number>> = {
  INVALID_ARGUMENT: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  DEADLINE_EXCEEDED: 408,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  FAILED_PRECONDITION: 412,
  RESOURCE_EXHAUSTED: 429,
  // The client has gone.
  CANCELLED: 499,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  INTERNAL: 500,
  DATA_LOSS: 500,
};
