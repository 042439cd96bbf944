/** Sends spans to a trace receiver, as a process of its own. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { Pool } from "undici";
import { serve } from "../lib/child.ts";
import { encode, makeStarts, type Starts } from "./starts.ts";

export const ENCODINGS = ["protobuf", "json_gzip", "grpc"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Where to send, and how. */
export interface Target {
  readonly url: string;
  readonly grpcAddress: string;
  readonly token: string;
  readonly encoding: Encoding;
}

/** The outcome of sending. */
export interface Sent {
  readonly spans: number;
  readonly ms: number;
  /** Spans acknowledged in each whole second. */
  readonly perSecond: readonly number[];
  readonly requestMs: readonly number[];
  readonly failed: number;
  /** Some of the traces. */
  readonly traceIds: readonly string[];
}

type Send = (body: Uint8Array) => Promise<boolean>;

const AT_ONCE = 3;
const compress = promisify(gzip);

/** Functions of the sender. */
export const sender = {
  /** Sends `groups` groups of starts as fast as they are taken. Bodies are made before. */
  async saturate(target: Target, groups: number): Promise<Sent> {
    const prepared = await Promise.all(Array.from({ length: groups }, () => prepare(target.encoding)));
    return deliver(target, prepared.values(), () => Promise.resolve());
  },

  /** Sends so many spans in each second, for `ms`. */
  async pace(target: Target, spansPerSecond: number, ms: number): Promise<Sent> {
    const { spans } = makeStarts();
    const groups = Math.ceil((spansPerSecond * ms) / 1_000 / spans);
    const startedAt = performance.now();
    const untilTurn = async (index: number) => {
      const waitMs = startedAt + (index * 1_000 * spans) / spansPerSecond - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    };
    return deliver(target, make(target.encoding, groups), untilTurn);
  },
};

interface Prepared {
  readonly bodies: readonly Uint8Array[];
  readonly starts: Starts;
}

async function prepare(encoding: Encoding): Promise<Prepared> {
  const starts = makeStarts();
  const bodies = starts.requests.map((request) =>
    encoding === "json_gzip" ? compress(JSON.stringify(request)) : encode(request),
  );
  return { bodies: await Promise.all(bodies), starts };
}

function* make(encoding: Encoding, groups: number): Generator<Promise<Prepared>> {
  for (let i = 0; i < groups; i++) yield prepare(encoding);
}

async function deliver(
  target: Target,
  groups: Iterator<Prepared | Promise<Prepared>>,
  untilTurn: (index: number) => Promise<void>,
): Promise<Sent> {
  const { send, close } = connect(target);
  const startedAt = performance.now();
  const perSecond: number[] = [];
  const requestMs: number[] = [];
  const traceIds: string[] = [];
  let [sent, failed, index] = [0, 0, 0];
  const work = async () => {
    for (;;) {
      const turn = index++;
      const next = groups.next();
      if (next.done) return;
      await untilTurn(turn);
      const { bodies, starts } = await next.value;
      for (const body of bodies) {
        const at = performance.now();
        if (!(await send(body))) failed += 1;
        requestMs.push(performance.now() - at);
      }
      sent += starts.spans;
      const second = Math.floor((performance.now() - startedAt) / 1_000);
      perSecond[second] = (perSecond[second] ?? 0) + starts.spans;
      if (turn % 4 === 0) traceIds.push(...starts.traceIds.slice(0, 1));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await close();
  const ms = performance.now() - startedAt;
  const whole = Array.from(perSecond, (count = 0) => count).slice(0, Math.floor(ms / 1_000));
  return { spans: sent, ms, perSecond: whole, requestMs, failed, traceIds };
}

function connect({ url, grpcAddress, token, encoding }: Target): { send: Send; close: () => Promise<void> } {
  const authorization = `Bearer ${token}`;
  if (encoding === "grpc") {
    const client = new grpc.Client(grpcAddress, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.set("authorization", authorization);
    const send: Send = (body) =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
          (bytes: Uint8Array) => Buffer.from(bytes),
          (bytes: Buffer) => bytes,
          body,
          metadata,
          (err) => resolve(err === null),
        );
      });
    return { send, close: async () => client.close() };
  }
  const pool = new Pool(url, { connections: AT_ONCE });
  const headers = {
    authorization,
    ...(encoding === "protobuf"
      ? { "content-type": "application/x-protobuf" }
      : { "content-type": "application/json", "content-encoding": "gzip" }),
  };
  const send: Send = async (body) => {
    const answer = await pool.request({ method: "POST", path: "/v1/traces", headers, body });
    await answer.body.dump();
    return answer.statusCode === 200;
  };
  return { send, close: () => pool.close() };
}

serve(sender);
