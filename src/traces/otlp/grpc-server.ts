import type { handleUnaryCall, Server, ServiceDefinition } from "@grpc/grpc-js";
import type { AuditSink } from "../../lib/audit/audit-entry.ts";
import type { TokenVerifier } from "../../lib/auth/auth.ts";
import type { RpcRules } from "../../lib/auth/rpc-rules.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { addHealth, Health } from "../../lib/grpc/builtin/health.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { createServer } from "../../lib/grpc/server/serve.ts";
import { writerOf } from "../access.ts";
import type { TraceStore } from "../store/store.ts";
import { encodeExportResponse } from "./answers.ts";
import { decodeSpans } from "./decode-spans.ts";
import { spanLimit, storeSpans } from "./store-spans.ts";

const SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService";
const PATH = `/${SERVICE}/Export`;
/** Calls of one connection at a time, each with its message in memory. */
const STREAMS = { fresh: 8, org: 4, service: 64 };
const CONNECTIONS = { total: 1_024, perAddress: 1_024, newTotal: 128, newPerAddress: 64 };

/** Messages stay bytes: what is wrong with them is answered like everything else. */
const DEFINITION: ServiceDefinition = {
  export: {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

const RULES: RpcRules = new Map([
  [
    PATH,
    {
      action: "traces:write",
      scopes: ["telemetry", "machines:write", "admin"],
      isAudited: false,
      needsGoodStanding: false,
      isAboutNoObject: true,
    },
  ],
]);

/** Makes the receiver's gRPC server, not listening yet: OTLP in, by the rules of OTLP/HTTP. */
export function grpcServer(
  store: TraceStore,
  verifier: TokenVerifier,
  audit?: AuditSink,
): { readonly server: Server; readonly health: Health } {
  const server = createServer({
    ...{ verifier, rules: RULES, ...(audit && { audit }) },
    limits: { connections: CONNECTIONS, streams: STREAMS },
  });
  const health = new Health([SERVICE]);
  const implementation: { export: handleUnaryCall<Buffer, Uint8Array> } = {
    export: unary(async (body, { claims }) => {
      // The server has checked the token.
      if (!claims) throw new Fault("UNAUTHENTICATED", "TOKEN_MISSING", "the call has no token");
      const origin = writerOf(claims);
      const { refused, why } = await storeSpans(store, decoded(body, spanLimit(origin)), origin);
      return encodeExportResponse(refused, why);
    }),
  };
  server.addService(DEFINITION, implementation);
  addHealth(server, health);
  return { server, health };
}

function decoded(body: Buffer, maxSpans: number) {
  try {
    return decodeSpans(body, maxSpans);
  } catch (cause) {
    const message = "the message is not an ExportTraceServiceRequest";
    throw new Fault("INVALID_ARGUMENT", "BODY_NOT_PROTOBUF", message, {}, { cause });
  }
}
