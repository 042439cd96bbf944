import { afterAll, beforeAll, expect, test } from "vitest";
import type { LogLine } from "../../../src/hostd/vmm/vmm.ts";
import { type Bench, isAtRest, openBench, plainWorkload } from "../support/fixture.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench?.close());

test("lines that are too long are split", async () => {
  const { vm, texts } = await bench.launch(["probe", "long"]);

  await vm.exited;

  expect(texts().map((text) => text.length)).toEqual([16_384, 16_384, 40_000 - 2 * 16_384, 5]);
});

test("what is not UTF-8 is replaced, and a last line needs no newline", async () => {
  const { vm, lines } = await bench.launch(["sh", "-c", "probe bytes; echo one >&2; echo two"]);

  await vm.exited;

  expect(lines.filter(({ stream }) => stream === "stdout").map(({ text }) => text)).toEqual([
    "bad \ufffd\ufffd utf",
    "no newline at the endtwo",
  ]);
  expect(lines.filter(({ stream }) => stream === "stderr").map(({ text }) => text)).toEqual(["one"]);
});

test("a flood waits for a slow sink, and none of it is missing", async () => {
  const COUNT = 60_000;
  const lines: LogLine[] = [];
  const gate = Promise.withResolvers<void>();
  const sink = { onLog: (line: LogLine) => (lines.push(line) === 1 ? gate.promise : undefined) };
  const workload = plainWorkload(bench.image, ["probe", "lines", String(COUNT)]);
  const shape = { cpus: 1, memoryMb: 256 };
  const vm = await bench.vmm.launch({ vmId: "flood", shape, workload, sink }, new AbortController().signal);
  let isOver = false;
  void vm.exited.then(() => {
    isOver = true;
  });

  // The VM is idle: its program is blocked in a write.
  await expect.poll(isAtRest(bench.dir, "flood"), { interval: 500, timeout: 60_000 }).toBe(true);
  expect(isOver).toBe(false);
  expect(lines).toHaveLength(1);
  gate.resolve();

  expect(await vm.exited).toMatchObject({ exitCode: 0 });
  expect(lines).toHaveLength(COUNT);
  expect(lines.every(({ text, number }, index) => text === `line ${index + 1}` && number === index + 1)).toBe(
    true,
  );
});
