import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeExportRequest, type RawRequest } from "../../support/telemetry/otlp-protobuf.ts";
import { bearer, exportRequest, json, privateDir, type Receiver, rawSpan, startReceiver } from "./support.ts";

const METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const GZIP = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };

let home: ReturnType<typeof privateDir>;
let receiver: Receiver;
const clients: grpc.Client[] = [];

beforeEach(async () => {
  home = privateDir();
  receiver = await startReceiver(home.dir);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await receiver.close();
  home.remove();
});

test.each([
  ["plain", {}],
  ["gzip", GZIP],
] as const)("spans that come by gRPC are kept, %s", async (_name, options) => {
  const span = rawSpan({}, { "windhover.machine.id": "0000a0000000aa" });

  const answer = await send(encoded([span]), await bearer("", "telemetry"), options);

  expect(answer).toEqual({ code: grpc.status.OK, bytes: 0 });
  const { trace } = await json(receiver.get(`/api/traces/${span.traceId}`));
  expect(trace).toMatchObject({ root_name: "hover machine start", spans: 1 });
});

test("a client's spans belong to its organisation, and it sends at most 16 at once", async () => {
  const spans = Array.from({ length: 20 }, () => rawSpan());

  const answer = await send(encoded(spans), await bearer("acme", "machines:write"));

  expect(answer).toMatchObject({ code: grpc.status.OK });
  expect(answer.bytes).toBeGreaterThan(0);
  const own = await bearer("acme", "machines:read");
  const rival = await bearer("rival", "machines:read");
  const statuses = await Promise.all([
    receiver.get(`/api/traces/${spans[0]?.traceId}`, own),
    receiver.get(`/api/traces/${spans[0]?.traceId}`, rival),
    receiver.get(`/api/traces/${spans[16]?.traceId}`, own),
  ]);
  expect(statuses.map(({ status }) => status)).toEqual([200, 404, 404]);
});

test("nobody without a token or the scope writes, and the audit log says so", async () => {
  const body = encoded([rawSpan()]);

  const codes = [
    (await send(body, undefined)).code,
    (await send(body, "Bearer nonsense")).code,
    (await send(body, await bearer("acme", "machines:read"))).code,
  ];

  expect(codes).toEqual([
    grpc.status.UNAUTHENTICATED,
    grpc.status.UNAUTHENTICATED,
    grpc.status.PERMISSION_DENIED,
  ]);
  expect(receiver.refusals.at(-1)).toMatchObject({
    action: "traces:write",
    org: "acme",
    reason: "SCOPE_MISSING",
  });
});

test("messages that are wrong or unpack to more than 8 MiB are refused, and the receiver goes on", async () => {
  const token = await bearer("", "telemetry");
  const big = Buffer.alloc(9 * 1024 * 1024);

  const codes = [
    (await send(Buffer.from([0x0a, 0x05, 0x12]), token)).code,
    (await send(big, token, GZIP)).code,
    (await send(encoded([rawSpan()]), token)).code,
  ];

  expect(codes).toEqual([grpc.status.INVALID_ARGUMENT, grpc.status.RESOURCE_EXHAUSTED, grpc.status.OK]);
});

function encoded(spans: readonly unknown[]): Uint8Array {
  // Spans of these tests have what the protobuf needs.
  return encodeExportRequest(exportRequest(spans) as RawRequest);
}

/** Sends a message. Returns its status, and the size of the answer. */
function send(
  body: Uint8Array,
  authorization: string | undefined,
  options: grpc.ClientOptions = {},
): Promise<{ code: number; bytes?: number }> {
  const client = new grpc.Client(receiver.grpcAddress, grpc.credentials.createInsecure(), options);
  clients.push(client);
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      METHOD,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      body,
      metadata,
      { deadline: Date.now() + 30_000 },
      (err, answer) =>
        resolve(err ? { code: err.code } : { code: grpc.status.OK, bytes: answer?.length ?? 0 }),
    );
  });
}
