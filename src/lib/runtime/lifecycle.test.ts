import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { every, Stack, startLoop } from "./lifecycle.ts";
import { createLogger } from "./log.ts";
import { sleep, until, within } from "./wait.ts";

const lines: Record<string, unknown>[] = [];
const log = createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

test("a stack closes in reverse, and goes on when something does not close", async () => {
  const closed: string[] = [];
  const stack = new Stack(log);
  stack.add("first", () => closed.push("first"));
  stack.add("broken", () => {
    throw new Error("no");
  });
  stack.add("hanging", () => new Promise(() => {}), 20);
  stack.add("last", async () => closed.push("last"));

  const error = await stack.close().catch((err: unknown) => err);

  expect(closed).toEqual(["last", "first"]);
  expect(error).toBeInstanceOf(AggregateError);
  expect((error as AggregateError).errors.map((e: Error) => e.message)).toEqual([
    "could not close hanging",
    "could not close broken",
  ]);
});

test("closing twice closes once", async () => {
  let closed = 0;
  const stack = new Stack(log);
  stack.add("one", () => closed++);

  await Promise.all([stack.close(), stack.close()]);

  expect(closed).toBe(1);
});

test("a loop runs at once, never overlaps itself, survives errors, and ends with its signal", async () => {
  lines.length = 0;
  const abort = new AbortController();
  const errors: unknown[] = [];
  let running = 0;
  let most = 0;
  let runs = 0;

  await every(
    1,
    1,
    async () => {
      most = Math.max(most, ++running);
      await sleep(3);
      running--;
      if (++runs === 4) abort.abort();
      if (runs === 2) throw new Error("hiccup");
    },
    abort.signal,
    { log, name: "test loop", onError: (err) => errors.push(err) },
  );

  expect([runs, most, running]).toEqual([4, 1, 0]);
  expect(errors).toHaveLength(1);
  expect(lines).toMatchObject([{ level: "warn", msg: "a periodic task failed", task: "test loop" }]);
});

test("stopping a background loop waits for the run under way", async () => {
  let ended = false;
  const began = Promise.withResolvers<void>();
  const stop = startLoop(60_000, 0, async (signal) => {
    began.resolve();
    await sleep(60_000, signal);
    ended = true;
  });
  await began.promise;

  await stop();

  expect(ended).toBe(true);
});

test("work that takes too long fails with what it was, and is told to stop", async () => {
  let told: AbortSignal | undefined;

  const outcome = within(20, "booting", (signal) => {
    told = signal;
    return new Promise(() => {});
  });

  await expect(outcome).rejects.toMatchObject({
    code: "DEADLINE_EXCEEDED",
    message: "booting took longer than 20 ms",
    facts: { what: "booting", timeout_ms: "20" },
  });
  expect(told?.aborted).toBe(true);
});

test("work ends with its caller's abort", async () => {
  const abort = new AbortController();

  const outcome = within(60_000, "booting", () => new Promise(() => {}), abort.signal);
  abort.abort(new Error("going"));

  await expect(outcome).rejects.toThrow("going");
});

test("an abort ends an iteration whose source is busy, and tells the source", async () => {
  const abort = new AbortController();
  const busy = Promise.withResolvers<void>();
  let returned = false;
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        busy.resolve();
        return new Promise(() => {});
      },
      return: async () => {
        returned = true;
        return { done: true, value: undefined };
      },
    }),
  };

  const outcome = until(source, abort.signal).next();
  await busy.promise;
  abort.abort(new Error("going"));

  await expect(outcome).rejects.toThrow("going");
  expect(returned).toBe(true);
});

test("the first signal asks for an end, the second one ends the process", async () => {
  const url = new URL("./lifecycle.ts", import.meta.url).href;
  const script = `import { untilSignal } from ${JSON.stringify(url)};
    const hold = setInterval(() => {}, 1000);
    const signal = untilSignal();
    console.log("ready");
    console.log(await signal);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const output: string[] = [];
  child.stdout.on("data", (data) => output.push(String(data)));
  await expect.poll(() => output.join("")).toContain("ready");

  child.kill("SIGTERM");
  await expect.poll(() => output.join("")).toContain("SIGTERM");
  child.kill("SIGTERM");

  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGTERM");
}, 60_000);
