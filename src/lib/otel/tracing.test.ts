import { SpanStatusCode } from "@opentelemetry/api";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Fault } from "../faults/fault.ts";
import { collectSpans, exporter, ms, only, wholeUs } from "./tracing.fixture.ts";
import { activeTraceparent, nowUs, recordSpan, withRemoteParent, withSpan } from "./tracing.ts";

/** How long a process is held up while the SDK makes a span. */
let heldUpMs = 0;
collectSpans({
  onStart: () => {
    const until = performance.now() + heldUpMs;
    while (performance.now() < until);
  },
  onEnd: () => {},
  shutdown: async () => {},
  forceFlush: async () => {},
});
beforeEach(() => {
  heldUpMs = 0;
});

describe("our own spans", () => {
  test("nest through promises, timers and callbacks", async () => {
    await withSpan("outer", {}, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await withSpan("inner", { "windhover.machine.id": "m" }, async () => {});
    });

    const [inner, outer] = exporter.getFinishedSpans();
    expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
    expect(inner?.attributes).toEqual({ "windhover.machine.id": "m" });
  });

  test("side by side do not see each other", async () => {
    const parents = await Promise.all(
      ["a", "b"].map((name) =>
        withSpan(name, {}, async (span) => {
          await new Promise((resolve) => setImmediate(resolve));
          return activeTraceparent().includes(span.spanContext().spanId);
        }),
      ),
    );

    expect(parents).toEqual([true, true]);
    expect(activeTraceparent()).toBe("");
  });

  test("below one that is not sampled are not made, and pass its context on", async () => {
    const unsampled = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;

    const seen = await withRemoteParent(unsampled, () =>
      withSpan("outer", {}, (outer) =>
        withSpan("inner", {}, async (inner) => [
          outer.isRecording(),
          inner.isRecording(),
          activeTraceparent(),
        ]),
      ),
    );

    expect(seen).toEqual([false, false, unsampled]);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  test("that throw are errors with the fault's reason", async () => {
    const work = withSpan("x", {}, () => Promise.reject(new Fault("NOT_FOUND", "NO_MACHINE", "gone")));

    await expect(work).rejects.toThrow("gone");

    expect(only("x")).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: "gone" },
      attributes: { "error.type": "NOT_FOUND", "windhover.error.reason": "NO_MACHINE" },
    });
  });

  test("continue a stored trace, and begin a new one when what was stored is no traceparent", async () => {
    const stored = await withSpan("before", {}, async () => activeTraceparent());

    await withRemoteParent(stored, () => withSpan("after", {}, async () => {}));
    await withRemoteParent("rubbish", () => withSpan("new", {}, async () => {}));

    expect(only("after").parentSpanContext?.spanId).toBe(only("before").spanContext().spanId);
    expect(only("after").spanContext().traceId).toBe(only("before").spanContext().traceId);
    expect(only("new").parentSpanContext).toBeUndefined();
  });

  test("begin and end where they do, not where a millisecond does", async () => {
    const now = () => performance.timeOrigin + performance.now();
    // The one begins late in a millisecond, the other early in the next and ends first.
    while (now() % 1 < 0.8);
    await withSpan("outer", {}, async () => {
      const began = Math.floor(now());
      while (Math.floor(now()) === began);
      await withSpan("inner", {}, async () => {});
    });

    const [inner, outer] = [only("inner"), only("outer")];
    expect(ms(inner.startTime)).toBeGreaterThan(ms(outer.startTime));
    expect(ms(inner.endTime)).toBeLessThanOrEqual(ms(outer.endTime));
    expect(Math.abs(ms(outer.endTime) - now())).toBeLessThan(60_000);
  });

  test.each([0.4, 1, 3])(
    "begin after what came before and end before what comes after, also when held up for %d ms",
    async (holdUpMs) => {
      heldUpMs = holdUpMs;
      const before = nowUs();
      await withSpan("x", {}, async () => {});
      const after = nowUs();

      const { startTime, endTime } = only("x");
      expect(wholeUs(startTime)).toBeGreaterThanOrEqual(before);
      expect(wholeUs(endTime)).toBeLessThanOrEqual(after);
    },
  );

  test("follow a wall clock that is set, there and back", async () => {
    const wallMs = Date.now.bind(Date);
    const clock = vi.spyOn(Date, "now").mockImplementation(() => wallMs() + 3_600_000);
    onTestFinished(() => clock.mockRestore());
    await withSpan("ahead", {}, async () => {});
    clock.mockRestore();
    await withSpan("back", {}, async () => {});

    const [ahead, back] = [only("ahead"), only("back")].map(({ startTime }) => ms(startTime) - wallMs());
    expect(Math.abs((ahead ?? 0) - 3_600_000)).toBeLessThan(60_000);
    expect(Math.abs(back ?? 3_600_000)).toBeLessThan(60_000);
  });

  test("of the past keep their microseconds", async () => {
    const parent = await withSpan("start", {}, async () => activeTraceparent());

    recordSpan({
      name: "guest.mount",
      startUs: 1_700_000_000_123_456n,
      endUs: 1_700_000_000_125_001n,
      parent,
    });
    recordSpan({ name: "guest.backwards", startUs: 2_000_000, endUs: 1_000_000, parent });

    const span = only("guest.mount");
    expect(span.startTime).toEqual([1_700_000_000, 123_456_000]);
    expect(span.endTime).toEqual([1_700_000_000, 125_001_000]);
    expect(span.parentSpanContext?.spanId).toBe(only("start").spanContext().spanId);
    expect(only("guest.backwards").duration).toEqual([0, 0]);
  });
});
