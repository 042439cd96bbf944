import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { Uses } from "./uses.ts";

const LOST_USE_MS = 30_000;
const ID = "00007a1b2c3d4e";

/** Uses of a hostd that has run for long enough to know all. */
function opened() {
  const clock = new ManualClock();
  const uses = new Uses({ lostUseMs: LOST_USE_MS, clock });
  clock.advance(LOST_USE_MS);
  return { clock, uses };
}

test("a machine counts as used for as long as an earlier hostd's uses may last", () => {
  const clock = new ManualClock();
  const uses = new Uses({ lostUseMs: LOST_USE_MS, clock });
  expect(uses.idleness(ID)).toEqual({ kind: "used", leftMs: LOST_USE_MS });
  clock.advance(LOST_USE_MS);
  expect(uses.idleness(ID)).toEqual({ kind: "unused", forMs: LOST_USE_MS });
});

test("idle time begins with the last request of all proxies, or the last start", () => {
  const { clock, uses } = opened();
  const [one, two] = [uses.stream("one"), uses.stream("two")];
  one.use(ID);
  two.use(ID);
  clock.advance(10_000);
  two.release(ID, 2_000);
  expect(uses.idleness(ID)).toEqual({ kind: "used", leftMs: undefined });
  one.release(ID, 9_000);
  expect(uses.idleness(ID)).toEqual({ kind: "unused", forMs: 2_000 });
  uses.started(ID);
  clock.advance(500);
  expect(uses.idleness(ID)).toEqual({ kind: "unused", forMs: 500 });
});

test("a use outlives its stream for a while, unless the proxy's next stream has it or releases it", () => {
  const { clock, uses } = opened();
  const first = uses.stream("one");
  first.use(ID);
  first.end();
  clock.advance(10_000);
  expect(uses.idleness(ID)).toEqual({ kind: "used", leftMs: LOST_USE_MS - 10_000 });
  const second = uses.stream("one");
  second.use(ID);
  first.end();
  clock.advance(LOST_USE_MS * 2);
  expect(uses.idleness(ID)).toEqual({ kind: "used", leftMs: undefined });
  second.release(ID, 0);
  expect(uses.idleness(ID)).toEqual({ kind: "unused", forMs: 0 });
  second.use(ID);
  second.end();
  clock.advance(LOST_USE_MS + 5_000);
  expect(uses.idleness(ID)).toEqual({ kind: "unused", forMs: 5_000 });
});

test("machines that are gone are forgotten", () => {
  const { uses } = opened();
  uses.stream("one").use(ID);
  uses.prune(() => false);
  expect(uses.idleness(ID).kind).toBe("unused");
});

test("a machine is never unused while a stream uses it, or has within the time of lost uses", () => {
  const step = fc.record({
    what: fc.constantFrom("use", "release", "end", "wait"),
    proxy: fc.nat(2),
    ms: fc.nat(40_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { clock, uses } = opened();
      const streams = [0, 1, 2].map((proxy) => uses.stream(String(proxy)));
      // Until when each proxy's use counts, by bookkeeping of its own.
      const until = [0, 0, 0];
      for (const { what, proxy, ms } of steps) {
        if (what === "wait") clock.advance(ms);
        if (what === "use") {
          streams[proxy]?.use(ID);
          until[proxy] = Number.POSITIVE_INFINITY;
        }
        if (what === "release") {
          streams[proxy]?.release(ID, ms);
          until[proxy] = 0;
        }
        if (what === "end") {
          streams[proxy]?.end();
          streams[proxy] = uses.stream(String(proxy));
          if (until[proxy] === Number.POSITIVE_INFINITY) until[proxy] = clock.monotonicMs() + LOST_USE_MS;
        }
        const isUsed = until.some((end) => end > clock.monotonicMs());
        expect(uses.idleness(ID).kind).toBe(isUsed ? "used" : "unused");
      }
    }),
  );
});
