import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { beforeEach, describe, expect, test } from "vitest";
import { startTelemetry } from "../otel/telemetry.ts";
import { activeTraceparent, withSpan } from "../otel/tracing.ts";
import { createLogger } from "../runtime/log.ts";
import {
  runSaga,
  type Saga,
  type SagaEntry,
  type SagaLog,
  type Step,
  sagaStepsRetried,
  sagasStuck,
  stuckSteps,
} from "./saga.ts";

const spans = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter: spans })]);
const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

const NAMES = ["reserve", "fetch image", "attach tap", "boot"] as const;
const never = new AbortController().signal;

beforeEach(() => {
  spans.reset();
  lines.length = 0;
});

describe("every step that fails is undone with all before it", () => {
  test.each(NAMES)("%s", async (failing) => {
    const held = new Set<string>();
    const stored = new Entries();

    await expect(runSaga(holding(failing), held, stored, never)).rejects.toThrow("injected");

    expect(held).toEqual(new Set());
    const before = NAMES.slice(0, NAMES.indexOf(failing));
    expect(stored.all).toEqual([
      ...before.map((step) => ({ step, outcome: "done" })),
      { step: failing, outcome: "failed" },
      ...[...before, failing].reverse().map((step) => ({ step, outcome: "undone" })),
    ]);
  });
});

describe("each step run twice has the effect of once", () => {
  // A crash between a step's end and its record makes the next process repeat the step.
  test.each(NAMES)("%s", async (crashing) => {
    const held = new Set<string>();
    const stored = new Entries();
    stored.failOn({ step: crashing, outcome: "done" });
    await expect(runSaga(holding(), held, stored, never)).rejects.toThrow("log is away");
    const afterCrash = new Set(held);

    stored.heal();
    const result = await runSaga(holding(), held, stored, never, { resume: stored.all });

    expect(afterCrash).toEqual(new Set(NAMES.slice(0, NAMES.indexOf(crashing) + 1)));
    expect(result).toBe("done");
    expect(held).toEqual(new Set(NAMES));
    expect(stored.all).toEqual(NAMES.map((step) => ({ step, outcome: "done" })));
  });
});

test("a saga that turned back before a crash only goes back when it is resumed", async () => {
  const held = new Set<string>(["reserve", "fetch image"]);
  const stored = new Entries();
  const before: SagaEntry[] = [
    { step: "reserve", outcome: "done" },
    { step: "fetch image", outcome: "done" },
    { step: "attach tap", outcome: "failed" },
    { step: "attach tap", outcome: "undone" },
  ];

  const result = await runSaga(holding(), held, stored, never, { resume: before });

  expect(result).toBe("undone");
  expect(held).toEqual(new Set());
  expect(stored.all).toEqual([
    { step: "fetch image", outcome: "undone" },
    { step: "reserve", outcome: "undone" },
  ]);
});

test("an undo that fails is recorded, logged and counted; the others are undone; a later run retries it", async () => {
  const held = new Set<string>();
  const stored = new Entries();
  const broken = holding("boot", "fetch image");
  const countBefore = await stuckCount();

  await expect(runSaga(broken, held, stored, never)).rejects.toThrow("injected");
  const heldAfter = new Set(held);
  const stuckAfter = stuckSteps(stored.all);
  const result = await runSaga(holding(), held, stored, never, { resume: stored.all });

  expect(heldAfter).toEqual(new Set(["fetch image"]));
  expect(stuckAfter).toEqual(["fetch image"]);
  expect(lines).toMatchObject([{ level: "error", msg: "a saga is stuck", step: "fetch image" }]);
  expect(await stuckCount()).toBe(countBefore + 1);
  expect(result).toBe("undone");
  expect(held).toEqual(new Set());
  expect(stuckSteps(stored.all)).toEqual([]);
});

test("the step that a crash interrupted, and an undo that was stuck, count as retried when they are repeated", async () => {
  const interrupted: SagaEntry[] = [{ step: "reserve", outcome: "done" }];
  const stuck: SagaEntry[] = [
    { step: "reserve", outcome: "failed" },
    { step: "reserve", outcome: "stuck" },
  ];
  const counts = () => Promise.all(NAMES.map(retryCount));
  const before = await counts();
  const since = async () => (await counts()).map((count, index) => count - (before[index] ?? 0));

  await runSaga(holding(), new Set(), new Entries(), never);
  const afterFirstRun = await since();
  await runSaga(holding(), new Set(), new Entries(), never, { resume: interrupted });
  const afterCrash = await since();
  await runSaga(holding(), new Set(), new Entries(), never, { resume: stuck });

  expect(afterFirstRun).toEqual([0, 0, 0, 0]);
  expect(afterCrash).toEqual([0, 1, 0, 0]);
  expect(await since()).toEqual([1, 1, 0, 0]);
});

test("an undo that hangs is stuck after its time", async () => {
  const stored = new Entries();
  const saga: Saga<null> = {
    name: "test",
    steps: [
      { name: "hang", run: () => Promise.reject(new Error("injected")), undo: () => new Promise(() => {}) },
    ],
  };

  await expect(runSaga(saga, null, stored, never, { undoTimeoutMs: 20 })).rejects.toThrow("injected");

  expect(stuckSteps(stored.all)).toEqual(["hang"]);
});

test("an abort between two steps undoes what was done, and undo gets a signal of its own", async () => {
  const abort = new AbortController();
  const undone: [string, boolean][] = [];
  const step = (name: string): Step<null> => ({
    name,
    run: async () => abort.abort(new Error("going")),
    undo: async (_, signal) => void undone.push([name, signal.aborted]),
  });
  const stored = new Entries();

  await expect(
    runSaga({ name: "test", steps: [step("one"), step("two")] }, null, stored, abort.signal),
  ).rejects.toThrow("going");

  expect(undone).toEqual([
    ["two", false],
    ["one", false],
  ]);
});

test("when the log fails going back, undoing goes on all the same", async () => {
  const held = new Set<string>();
  const stored = new Entries();
  for (const step of NAMES) stored.failOn({ step, outcome: "undone" });

  await expect(runSaga(holding("boot"), held, stored, never)).rejects.toThrow("injected");

  expect(held).toEqual(new Set());
});

test("each step has a span under the saga's, and a resumed saga links to the span that began it", async () => {
  let began = "";
  await withSpan("request", {}, async () => {
    began = activeTraceparent();
  });
  await expect(
    runSaga(holding("fetch image"), new Set(), new Entries(), never, { startedBy: began }),
  ).rejects.toThrow();

  const finished = spans.getFinishedSpans();
  const saga = finished.find((span) => span.name === "saga.test");
  expect(finished.map((span) => span.name)).toEqual([
    "request",
    "saga.test.reserve",
    "saga.test.fetch image",
    "saga.test.fetch image.undo",
    "saga.test.reserve.undo",
    "saga.test",
  ]);
  expect(saga?.links.map((link) => link.context.traceId)).toEqual([began.split("-")[1]]);
  expect(finished[1]?.parentSpanContext?.spanId).toBe(saga?.spanContext().spanId);
});

/** A saga whose steps hold something each; one may fail after it has acted, one may refuse to be undone. */
function holding(failing?: string, stuck?: string): Saga<Set<string>> {
  const steps = NAMES.map((name) => ({
    name,
    async run(held: Set<string>) {
      held.add(name);
      if (name === failing) throw new Error("injected");
    },
    async undo(held: Set<string>) {
      if (name === stuck) throw new Error("cannot let go");
      held.delete(name);
    },
  }));
  return { name: "test", steps };
}

class Entries implements SagaLog {
  readonly all: SagaEntry[] = [];
  readonly #failing: SagaEntry[] = [];

  failOn(entry: SagaEntry): void {
    this.#failing.push(entry);
  }

  heal(): void {
    this.#failing.length = 0;
  }

  async record(step: string, outcome: SagaEntry["outcome"]): Promise<void> {
    if (this.#failing.some((f) => f.step === step && f.outcome === outcome))
      throw new Error("the log is away");
    this.all.push({ step, outcome });
  }
}

async function stuckCount(): Promise<number> {
  const { values } = await sagasStuck.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

async function retryCount(step: string): Promise<number> {
  const { values } = await sagaStepsRetried.get();
  return values.find(({ labels }) => labels.step === step)?.value ?? 0;
}
