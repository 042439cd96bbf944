import { PassThrough, Writable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BodyTape, TapeBudget } from "./body-tape.ts";

const LISTENER = { passed: () => {}, tooLarge: () => {}, org: () => "acme" };
const ALL = { keep: Number.POSITIVE_INFINITY, body: Number.POSITIVE_INFINITY };

/** Takes bytes at its own pace. */
function sinkOf(highWaterMark: number): { sink: Writable; taken: () => string; ended: () => boolean } {
  const chunks: Buffer[] = [];
  let hasEnded = false;
  const sink = new Writable({
    highWaterMark,
    write: (chunk, _encoding, done) => {
      chunks.push(chunk);
      setImmediate(done);
    },
    final: (done) => {
      hasEnded = true;
      done();
    },
  });
  return { sink, taken: () => Buffer.concat(chunks).toString(), ended: () => hasEnded };
}

test("every attempt gets the body from its beginning, wherever the ones before were stopped", async () => {
  const parts = fc.array(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(parts, fc.array(fc.nat(10), { maxLength: 4 }), async (chunks, stops) => {
      const source = new PassThrough({ highWaterMark: 8 });
      const budget = new TapeBudget(1_000_000);
      const tape = new BodyTape(source, budget, ALL, LISTENER);
      const stopsAt = new Set(stops);
      let last = sinkOf(4);
      tape.play(last.sink, (sink) => sink.end());

      for (const [at, chunk] of chunks.entries()) {
        if (stopsAt.has(at)) {
          tape.stop();
          last = sinkOf(4);
          tape.play(last.sink, (sink) => sink.end());
        }
        source.write(chunk);
        await new Promise(setImmediate);
      }
      source.end();

      await expect.poll(last.ended).toBe(true);
      expect(last.taken()).toBe(chunks.join(""));
      tape.stopKeeping();
      expect(budget.left).toBe(1_000_000);
    }),
    { numRuns: 50 },
  );
});

test("what is larger than may be kept passes, and cannot be sent again", async () => {
  const source = new PassThrough();
  const budget = new TapeBudget(1_000);
  const tape = new BodyTape(source, budget, { keep: 10, body: 1_000 }, LISTENER);
  const { sink, taken, ended } = sinkOf(1_000);
  tape.play(sink, (each) => each.end());

  source.write("x".repeat(8));
  await expect.poll(() => tape.bytes).toBe(8);
  expect([tape.isReplayable, budget.left]).toEqual([true, 992]);
  source.end("y".repeat(8));

  await expect.poll(ended).toBe(true);
  expect(taken()).toBe("xxxxxxxxyyyyyyyy");
  expect([tape.isReplayable, budget.left]).toEqual([false, 1_000]);
  expect(() => tape.play(sinkOf(1).sink, () => {})).toThrow("not kept");
});

test("a client does not send faster than the machine takes", async () => {
  const source = new PassThrough({ highWaterMark: 10 });
  const tape = new BodyTape(source, new TapeBudget(0), ALL, LISTENER);
  const sink = new Writable({ highWaterMark: 10, write: () => {} });
  tape.play(sink, () => {});

  let written = 0;
  while (written < 1_000 && source.write("0123456789")) {
    written += 10;
    await new Promise(setImmediate);
  }

  expect(written).toBeLessThan(100);
  expect(tape.isBlocked).toBe(true);
});

test("nothing is read from a client before there is somebody to send it to", async () => {
  const source = new PassThrough({ highWaterMark: 10 });
  const tape = new BodyTape(source, new TapeBudget(100), ALL, LISTENER);

  source.write("0123456789");
  await new Promise(setImmediate);

  expect(tape.bytes).toBe(0);
  expect(source.readableLength).toBe(10);
});

test.each([
  ["by what is kept of one body", { keep: 25, body: 1_000 }, 0, 30],
  ["by what is kept of all", { keep: 20, body: 1_000 }, 10, 20],
])("what is read ahead is bounded %s, and none of it is lost", async (_, limits, others, read) => {
  const source = new PassThrough({ highWaterMark: 10 });
  const budget = new TapeBudget(100);
  const tape = new BodyTape(source, budget, limits, LISTENER);
  const whole = Array.from({ length: 20 }, (_each, at) => `${at}`.padStart(10, "."));
  tape.readAhead();
  budget.take("acme", others);

  for (const chunk of whole) source.write(chunk);
  source.end();
  await expect.poll(() => source.isPaused()).toBe(true);
  expect([tape.bytes, tape.isReplayable]).toEqual([read, true]);
  const { sink, taken, ended } = sinkOf(10);
  tape.play(sink, (each) => each.end());

  await expect.poll(ended).toBe(true);
  expect(taken()).toBe(whole.join(""));
  tape.stopKeeping();
  expect(budget.left).toBe(100 - others);
});

test("nothing is read ahead when there is no memory to keep it", async () => {
  const source = new PassThrough({ highWaterMark: 10 });
  const budget = new TapeBudget(100);
  const tape = new BodyTape(source, budget, ALL, LISTENER);
  budget.take("acme", 25);

  tape.readAhead();
  source.write("0123456789");
  await new Promise(setImmediate);

  expect(tape.bytes).toBe(0);
});

test("a body that is read ahead to its end is sent whole, more than once", async () => {
  const source = new PassThrough();
  const tape = new BodyTape(source, new TapeBudget(100), { keep: 20, body: 100 }, LISTENER);
  tape.readAhead();
  source.end("hello");
  await expect.poll(() => tape.isEnded).toBe(true);

  for (let count = 0; count < 2; count++) {
    const { sink, taken, ended } = sinkOf(10);
    tape.play(sink, (each) => each.end());
    await expect.poll(ended).toBe(true);
    expect(taken()).toBe("hello");
  }
});

test("an organisation has a quarter of the memory for bodies, and gets back what it gives back", () => {
  const budget = new TapeBudget(100);

  expect([budget.take("acme", 20), budget.take("acme", 6), budget.take("other", 25)]).toEqual([
    ...[true, false, true],
  ]);
  budget.giveBack("acme", 15);

  expect([budget.take("acme", 20), budget.take("other", 1), budget.left]).toEqual([true, false, 50]);
});
