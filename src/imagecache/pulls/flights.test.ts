import { describe, expect, test } from "vitest";
import { Flights } from "./flights.ts";

const never = new AbortController().signal;

/** Work that ends when told to. */
function work() {
  const control = {
    begun: 0,
    report: (_: number) => {},
    end: (_: string) => {},
    fail: (_: Error) => {},
    aborted: false,
    run: (report: (progress: number) => void, signal: AbortSignal) => {
      control.begun++;
      control.report = report;
      return new Promise<string>((resolve, reject) => {
        control.end = resolve;
        control.fail = reject;
        signal.addEventListener("abort", () => {
          control.aborted = true;
        });
      });
    },
  };
  return control;
}

async function collect<P, R>(steps: AsyncGenerator<P, R>): Promise<{ seen: P[]; result: R }> {
  const seen: P[] = [];
  for (;;) {
    const step = await steps.next();
    if (step.done) return { seen, result: step.value };
    seen.push(step.value);
  }
}

describe("several callers", () => {
  test("share one flight, its progress and its result", async () => {
    const flights = new Flights<number, string>();
    const control = work();
    const both = [
      collect(flights.join("k", never, control.run)),
      collect(flights.join("k", never, control.run)),
    ];
    await expect.poll(() => control.begun).toBe(1);

    control.report(1);
    await new Promise((resolve) => setImmediate(resolve));
    control.report(2);
    await new Promise((resolve) => setImmediate(resolve));
    control.end("done");

    for (const one of both) expect(await one).toEqual({ seen: [1, 2], result: "done" });
    expect(control.begun).toBe(1);
    expect(flights.size).toBe(0);
  });

  test("share a failure, and the next one tries again", async () => {
    const flights = new Flights<number, string>();
    const control = work();
    const both = [flights.wait("k", never, control.run), flights.wait("k", never, control.run)];
    await expect.poll(() => control.begun).toBe(1);
    control.fail(new Error("broken"));
    await Promise.all(both.map((one) => expect(one).rejects.toThrow("broken")));

    const again = flights.wait("k", never, async () => "fine");

    expect(await again).toBe("fine");
  });

  test("of different keys do not wait for each other", async () => {
    const flights = new Flights<number, string>();

    expect(await Promise.all(["a", "b"].map((k) => flights.wait(k, never, async () => k)))).toEqual([
      "a",
      "b",
    ]);
  });
});

describe("leaving", () => {
  test("aborts the flight only when no caller is left, and the next begins after it has ended", async () => {
    const flights = new Flights<number, string>();
    const control = work();
    const leavers = [new AbortController(), new AbortController()];
    const gone = leavers.map((l) => flights.wait("k", l.signal, control.run));
    const outcomes = gone.map((g) => expect(g).rejects.toThrow("left"));
    await expect.poll(() => control.begun).toBe(1);

    leavers[0]?.abort(new Error("left"));
    await outcomes[0];
    expect(control.aborted).toBe(false);
    leavers[1]?.abort(new Error("left"));
    await outcomes[1];
    expect(control.aborted).toBe(true);

    let begun = false;
    const next = flights.wait("k", never, async () => {
      begun = true;
      return "new";
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toBe(false);
    control.fail(new Error("closed its files"));
    expect(await next).toBe("new");
  });

  test("by no longer iterating counts as well", async () => {
    const flights = new Flights<number, string>();
    const control = work();
    const steps = flights.join("k", never, control.run);
    const first = steps.next();
    await expect.poll(() => control.begun).toBe(1);
    control.report(1);
    await first;

    await steps.return("");

    expect(control.aborted).toBe(true);
  });
});
