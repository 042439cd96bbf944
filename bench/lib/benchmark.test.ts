import { expect, test } from "vitest";
import { Progress } from "../../tools/lib/progress.ts";
import { Run } from "./benchmark.ts";
import { Report } from "./report/report.ts";

function runOf(runs: number, signal = new AbortController().signal): Run {
  return new Run(runs, new Report({ name: "test", title: "Test" }), new Progress(), signal, "/nowhere");
}

test("slow operations are measured less often, but often enough, and never more often than asked for", () => {
  expect(runOf(400).scaled(10, 10)).toBe(40);
  expect(runOf(50).scaled(10, 10)).toBe(10);
  expect(runOf(3).scaled(10, 10)).toBe(3);
});

test("the results of the first calls are dropped", async () => {
  let calls = 0;
  expect(await runOf(1).repeat("calls", 3, async () => ++calls, 2)).toEqual([3, 4, 5]);
});

test("no call begins when the time of a series is over", async () => {
  expect(await runOf(1).repeat("calls", 3, async () => 1, 0, 0)).toEqual([]);
});

test("an abort ends a series", async () => {
  const abort = new AbortController();
  const run = runOf(1, abort.signal);
  await expect(run.repeat("calls", 3, async () => abort.abort(new Error("enough")))).rejects.toThrow(
    "enough",
  );
});

test("what was opened is closed, also after a failure", async () => {
  const closed: string[] = [];
  const open = async () => ({
    async [Symbol.asyncDispose]() {
      closed.push("it");
    },
  });
  const work = () => runOf(1).with("it", open, () => Promise.reject(new Error("no")));
  await expect(work()).rejects.toThrow("no");
  expect(closed).toEqual(["it"]);
});
