import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attributes, Span } from "../../lib/latency/span.ts";
import { encode } from "./rows.ts";
import { TraceStore } from "./store.ts";

const START_MS = 1_764_000_000_000;

/** A store in a folder of its own, with a clock and dice that the test sets. */
export class StoreWorld implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "windhover-store-"));
  readonly store: TraceStore;
  nowMs = START_MS;
  #seed = 1;
  #made = 0;

  constructor(keep: number, budgetBytes = 64 * 1024 * 1024) {
    const clock = { now: () => this.nowMs, monotonicMs: () => this.nowMs };
    this.store = new TraceStore(this.dir, { keep, budgetBytes }, clock, () => this.random());
  }

  /** The same numbers in every run, from 0 to 1. */
  random(): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    return this.#seed / 2_147_483_647;
  }

  /** Returns a trace id and a span id that nobody has had. */
  ids(): { traceId: string; spanId: string } {
    this.#made += 1;
    return {
      traceId: `a${this.#made.toString(16).padStart(31, "0")}`,
      spanId: `b${this.#made.toString(16).padStart(15, "0")}`,
    };
  }

  /** Stores a start that has just ended. Returns its ids. */
  start(durationUs: number, { reason = "", path = "warm", org = "acme" } = {}) {
    const ids = this.ids();
    this.add(
      this.span(ids, {
        duration_us: durationUs,
        status: reason === "" ? "ok" : "error",
        attributes: {
          "windhover.machine.id": "0123456789abcd",
          "windhover.start.path": path,
          "windhover.org": org,
          ...(reason === "" ? {} : { "windhover.error.reason": reason }),
        },
      }),
    );
    return ids;
  }

  add(...spans: readonly Span[]): void {
    this.store.add(spans.map(encode), { kind: "service" });
  }

  /** A served call of StartMachine, by default without parent. */
  span(
    { traceId, spanId }: { traceId: string; spanId: string },
    fields: Partial<Span> & { attributes?: Attributes } = {},
  ): Span {
    const durationUs = fields.duration_us ?? 1_000;
    return {
      trace_id: traceId,
      span_id: spanId,
      name: "windhover.machines.v1.MachinesService/StartMachine",
      service: "api",
      kind: "server",
      start_us: this.nowMs * 1_000 - durationUs,
      duration_us: durationUs,
      status: "unset",
      attributes: {},
      ...fields,
    };
  }

  /** Lets time pass, and seals what is due. */
  pass(ms: number): void {
    this.nowMs += ms;
    while (this.store.sealDue());
  }

  [Symbol.dispose](): void {
    this.store.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
