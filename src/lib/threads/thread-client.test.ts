import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type {
  TestAnswers,
  TestFailure,
  TestRequest,
} from "../../../test/support/threads/answering-thread.ts";
import { ThreadClient } from "./thread-client.ts";

class CodeError extends Error {
  readonly code: number;

  constructor({ code }: TestFailure) {
    super(`code ${code}`);
    this.code = code;
  }
}

let deaths: string[];
let client: ThreadClient<TestRequest, TestAnswers, TestFailure>;
beforeEach(() => {
  deaths = [];
  client = new ThreadClient({
    module: new URL("../../../test/support/threads/answering-thread.ts", import.meta.url),
    name: "the test",
    worker: { workerData: "got " },
    toError: (failure) => new CodeError(failure),
    toCancel: (call) => ({ kind: "cancel", call }),
    onDeath: (err) => deaths.push(err.message),
  });
});
afterEach(() => client.terminate());

describe("a call", () => {
  test("gets the answer of its own request, whichever comes first", async () => {
    const held = client.call({ kind: "hold" });
    const echoes = ["a", "b"].map((text) => client.call({ kind: "echo", text }));

    expect(await Promise.all(echoes)).toEqual(["got a", "got b"]);
    expect(client.pending).toBe(1);
    await client.call({ kind: "release" });
    expect(await held).toBe("released");
    expect(client.pending).toBe(0);
  });

  test("fails with the error that its failure is made into, and the thread goes on", async () => {
    const failed = client.call({ kind: "fail", code: 13 });

    await expect(failed).rejects.toBeInstanceOf(CodeError);
    await expect(failed).rejects.toMatchObject({ code: 13 });
    expect(await client.call({ kind: "echo", text: "on" })).toBe("got on");
  });

  test("gives its buffers to the thread instead of copying them", async () => {
    const bytes = new Uint8Array(1_000);

    const length = client.call({ kind: "length", bytes }, { transfer: [bytes.buffer] });

    expect(bytes.length).toBe(0);
    expect(await length).toBe(1_000);
  });

  test("fails when its request cannot be sent, and nothing waits for an answer", async () => {
    const { buffer } = new Uint8Array(1);
    const twice = client.call({ kind: "echo", text: "" }, { transfer: [buffer, buffer] });

    await expect(twice).rejects.toThrow("duplicate");
    expect(client.pending).toBe(0);
  });
});

describe("a call with a signal", () => {
  test("ends with the reason when that aborts, and is cancelled in the thread", async () => {
    const abort = new AbortController();
    const held = client.call({ kind: "hold" }, { signal: abort.signal });
    await client.call({ kind: "echo", text: "the thread holds it" });

    abort.abort(new Error("enough"));

    await expect(held).rejects.toThrow("enough");
    expect(client.pending).toBe(0);
    expect(await client.call({ kind: "cancelled" })).toEqual([1]);
  });

  test("is not sent when that has aborted already", async () => {
    const signal = AbortSignal.abort(new Error("too late"));

    await expect(client.call({ kind: "release" }, { signal })).rejects.toThrow("too late");

    expect(await client.call({ kind: "cancelled" })).toEqual([]);
  });

  test("is not cancelled once it has its answer", async () => {
    const abort = new AbortController();

    await client.call({ kind: "echo", text: "done" }, { signal: abort.signal });
    abort.abort();

    expect(await client.call({ kind: "cancelled" })).toEqual([]);
  });
});

describe("a thread that ends unexpectedly", () => {
  test.each([
    ["throws", "throw", "it has thrown"],
    ["exits", "exit", "the thread of the test has ended"],
  ] as const)("because it %s fails all calls, then and later, and says so once", async (_, kind, message) => {
    const calls = [client.call({ kind: "hold" }), client.call({ kind })];

    const outcomes = await Promise.allSettled(calls);

    expect(outcomes).toEqual(calls.map(() => ({ status: "rejected", reason: new Error(message) })));
    await expect(client.call({ kind: "echo", text: "" })).rejects.toThrow(message);
    await client.terminate();
    expect(deaths).toEqual([message]);
  });
});

describe("closing", () => {
  test("answers earlier calls, refuses later ones, and is no death", async () => {
    const earlier = client.call({ kind: "echo", text: "first" });
    const closing = client.close({ kind: "release" });
    const later = client.call({ kind: "echo", text: "second" });

    await expect(later).rejects.toThrow("the thread of the test is closed");
    expect(await earlier).toBe("got first");
    await closing;
    expect(deaths).toEqual([]);
  });

  test("ends the thread even if it cannot answer any more", async () => {
    const held = client.call({ kind: "hold" });
    const closing = client.close({ kind: "exit" });

    await expect(held).rejects.toThrow("has ended");
    await closing;
    expect(deaths).toEqual([]);
  });
});
