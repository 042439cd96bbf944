/** A thread that answers as it is asked to, for tests of the client of threads. */
import { parentPort, workerData } from "node:worker_threads";
import type { ThreadCall } from "../../../src/lib/threads/thread-client.ts";

export type TestRequest =
  | { readonly kind: "echo"; readonly text: string }
  | { readonly kind: "length"; readonly bytes: Uint8Array }
  | { readonly kind: "fail"; readonly code: number }
  /** Is answered when it is released, or never. */
  | { readonly kind: "hold" }
  | { readonly kind: "release" }
  | { readonly kind: "cancel"; readonly call: number }
  | { readonly kind: "cancelled" }
  | { readonly kind: "throw" }
  | { readonly kind: "exit" };

export interface TestAnswers {
  readonly echo: string;
  readonly length: number;
  readonly fail: undefined;
  readonly hold: string;
  readonly release: undefined;
  readonly cancel: undefined;
  /** Ids of the calls that were cancelled. */
  readonly cancelled: readonly number[];
  readonly throw: undefined;
  readonly exit: undefined;
}

/** What a call fails with. */
export interface TestFailure {
  readonly code: number;
}

const held: number[] = [];
const cancelled: number[] = [];

parentPort?.on("message", ({ id, request }: ThreadCall<TestRequest>) => {
  if (request.kind === "fail") parentPort?.postMessage({ id, error: { code: request.code } });
  else if (request.kind === "hold") held.push(id);
  else parentPort?.postMessage({ id, value: answer(request) });
});

function answer(request: Exclude<TestRequest, { kind: "fail" | "hold" }>): TestAnswers[keyof TestAnswers] {
  switch (request.kind) {
    case "echo":
      return `${workerData}${request.text}`;
    case "length":
      return request.bytes.length;
    case "release":
      for (const id of held.splice(0)) parentPort?.postMessage({ id, value: "released" });
      return undefined;
    case "cancel":
      cancelled.push(request.call);
      return undefined;
    case "cancelled":
      return cancelled;
    case "throw":
      throw new Error("it has thrown");
    case "exit":
      process.exit();
  }
}
