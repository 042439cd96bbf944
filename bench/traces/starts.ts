import { randomBytes } from "node:crypto";
import {
  encodeExportRequest,
  type RawRequest,
  type RawSpan,
} from "../../test/support/telemetry/otlp-protobuf.ts";

/** A span of a warm start: name, parent, OTLP's kind, begin and length in microseconds. */
type Part = readonly [name: string, parent: number, kind: number, at: number, length: number];

const API = "windhover.machines.v1.MachinesService/StartMachine";
const HOST = "windhover.hostd.v1.HostService/StartMachine";
/** As a start through the api has them; parents come first. */
const PARTS: Readonly<Record<string, readonly (readonly [index: number, part: Part])[]>> = {
  api: [
    [0, [API, -1, 2, 0, 40_000]],
    [1, ["api.start", 0, 1, 300, 39_400]],
    [2, ["api.store", 1, 1, 400, 900]],
    [3, [HOST, 1, 3, 1_500, 37_500]],
  ],
  hostd: [
    [4, [HOST, 3, 2, 2_200, 36_000]],
    [5, ["hostd.start", 4, 1, 2_300, 35_800]],
    [6, ["hostd.admit", 5, 1, 2_400, 2_100]],
    [7, ["hostd.start_queue", 6, 1, 2_500, 2_000]],
    [8, ["hostd.ports", 5, 1, 4_600, 100]],
    [9, ["hostd.store", 5, 1, 4_800, 1_700]],
    [10, ["hostd.acquire", 5, 1, 4_800, 28_000]],
    [11, ["vmm.claim", 10, 1, 5_000, 700]],
    [12, ["vmm.swap", 10, 1, 5_700, 3_000]],
    [13, ["vmm.network", 10, 1, 8_700, 1_200]],
    [14, ["guest.resume", 10, 1, 9_900, 4_000]],
    [15, ["guest.mount", 10, 1, 13_900, 6_000]],
    [16, ["guest.exec", 10, 1, 19_900, 12_000]],
    [17, ["hostd.watch", 5, 1, 32_900, 5_000]],
  ],
  imagecache: [
    [18, ["windhover.imagecache.v1.ImageCacheService/EnsureImage", 5, 2, 2_600, 1_500]],
    [19, ["imagecache.ensure", 18, 1, 2_700, 1_300]],
  ],
};
const SPANS = 20;
/** Starts whose spans are sent together, as services send spans of some hundred milliseconds. */
const TOGETHER = 32;

/** Requests with all spans of some starts, one from each service. */
export interface Starts {
  readonly requests: readonly RawRequest[];
  readonly traceIds: readonly string[];
  readonly spans: number;
}

/** Makes starts that have just ended, with ids of their own. Durations vary; one in a hundred fails. */
export function makeStarts(): Starts {
  const traces = Array.from({ length: TOGETHER }, () => ({
    traceId: randomBytes(16).toString("hex"),
    spanIds: Array.from({ length: SPANS }, () => randomBytes(8).toString("hex")),
    factor: Math.exp(Math.random() * 3),
    endUs: Date.now() * 1_000,
    isFailed: Math.random() < 0.01,
    machine: randomBytes(7).toString("hex"),
    host: `host-${Math.floor(Math.random() * 8)}`,
  }));
  const requests = Object.entries(PARTS).map(([service, parts]) => ({
    resourceSpans: [
      {
        resource: {
          attributes: Object.entries({
            "service.name": service,
            "service.version": "0.1.0",
            "service.instance.id": `${service}-1`,
          }).map(([key, value]) => ({ key, value: { stringValue: value } })),
        },
        scopeSpans: [
          { spans: traces.flatMap((trace) => parts.map(([index, part]) => spanOf(trace, index, part))) },
        ],
      },
    ],
  }));
  return { requests, traceIds: traces.map(({ traceId }) => traceId), spans: TOGETHER * SPANS };
}

export function encode(request: RawRequest): Uint8Array {
  return encodeExportRequest(request);
}

interface Trace {
  readonly traceId: string;
  readonly spanIds: readonly string[];
  readonly factor: number;
  readonly endUs: number;
  readonly isFailed: boolean;
  readonly machine: string;
  readonly host: string;
}

function spanOf(trace: Trace, index: number, [name, parent, kind, at, length]: Part): RawSpan {
  const startUs = Math.round(trace.endUs - (40_000 - at) * trace.factor);
  const endUs = Math.round(startUs + length * trace.factor);
  const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
  const isFrame = kind === 2 || name === "hostd.start";
  const isFailed = trace.isFailed && isFrame;
  return {
    traceId: trace.traceId,
    spanId: trace.spanIds[index] ?? "",
    ...(parent < 0 ? {} : { parentSpanId: trace.spanIds[parent] ?? "" }),
    name,
    kind,
    startTimeUnixNano: `${startUs}000`,
    endTimeUnixNano: `${endUs}000`,
    attributes: [
      ...(isFrame
        ? [
            text("windhover.machine.id", trace.machine),
            text("windhover.org", "acme"),
            text("windhover.app", "shop"),
            text("windhover.region", "local"),
            text("windhover.host.name", trace.host),
            text("windhover.image.digest", `sha256:${trace.machine.repeat(5).slice(0, 64)}`),
            text("windhover.start.path", trace.factor > 10 ? "cold" : "warm"),
          ]
        : [text("windhover.host.name", trace.host)]),
      ...(kind === 1
        ? []
        : [text("rpc.system.name", "grpc"), text("rpc.method", name), text("rpc.status_code", "OK")]),
      ...(isFailed ? [text("windhover.error.reason", "HOST_FULL")] : []),
    ],
    status: isFailed ? { code: 2, message: "the host is full" } : {},
  };
}
