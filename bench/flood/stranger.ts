/** Floods ports without a token, in a process of its own. */
import { constants, setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Flood,
  framed,
  openCalls,
  openConnections,
  unfinishedMessage,
} from "../../test/support/net/flood.ts";
import { serve } from "../lib/child.ts";

export type StrangerFunctions = typeof functions;

const MESSAGE_BYTES = 8 * 1024 * 1024;
/** Pause between rounds, in which the server is to end what it does not want. */
const ROUND_MS = 2_000;

const functions = {
  /** Opens calls, watches and connections to all ports, again and again, until the process is ended. */
  flood(
    grpc: readonly { readonly address: string; readonly method: string }[],
    http: readonly string[],
  ): void {
    // Elsewhere a stranger has processors of its own.
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    const body = unfinishedMessage(MESSAGE_BYTES);
    for (const { address, method } of grpc) void forEver(() => round(address, method, body));
    for (const address of http) void forEver(async () => [await openConnections(address, 200)]);
  },
};
serve(functions);

async function round(address: string, method: string, body: Buffer): Promise<readonly Flood[]> {
  const calls = { address, streams: 50, streamsPerConnection: 10, body };
  return [
    await openCalls({ ...calls, path: "/grpc.health.v1.Health/Check" }),
    await openCalls({ ...calls, path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" }),
    await openCalls({ ...calls, path: method }),
    await openCalls({
      ...{ address, path: "/grpc.health.v1.Health/Watch", body: framed(Buffer.alloc(0)), ends: true },
      ...{ streams: 2_000, streamsPerConnection: 1_000 },
    }),
    await openConnections(address, 200),
  ];
}

async function forEver(begin: () => Promise<readonly Flood[]>): Promise<never> {
  for (;;) {
    const floods = await begin();
    await delay(ROUND_MS);
    for (const flood of floods) await flood[Symbol.asyncDispose]();
  }
}
