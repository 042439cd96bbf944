import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configOf } from "../support/clients.ts";
import { coverageBelow, spanNamed, traceOf } from "../support/trace-coverage.ts";
import { openWorld, type World } from "./world.ts";

/** What a warm start may take: of a slower one, what the spans leave open is a smaller share. */
const LAUNCH_MS = 60;
/** In some of them a busy machine takes the processor away between two spans. */
const STARTS = 11;
const LEAST = 0.95;

const API = "windhover.machines.v1.MachinesService/StartMachine";
const HOSTD = "windhover.hostd.v1.HostService/StartMachine";

describe("the trace of a start", () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld(1, { HOSTD_SIM_LATENCY_MS: String(LAUNCH_MS) });
  });
  afterAll(() => world?.close());

  it("accounts for 95 % of its time at the api, at the host, and within the host's start", async () => {
    const { clients, fleet, app, image } = world;
    const { id } = await clients.create({ app, skipLaunch: true, config: configOf(image) });
    const coverages: { api: number; host: number; start: number }[] = [];

    for (let index = 0; index < STARTS; index++) {
      const traceId = (await clients.start(id)).machine?.lastStartTraceId ?? "";
      await clients.stop(id);
      const spans = await traceOf(fleet, traceId);
      const api = spanNamed(API, spans, "server");
      expect(api.parent_span_id).toBeUndefined();
      coverages.push({
        api: coverageBelow(api, spans),
        host: coverageBelow(spanNamed(HOSTD, spans, "server"), spans),
        start: coverageBelow(spanNamed("hostd.start", spans), spans),
      });
    }

    expect(median(coverages.map(({ api }) => api))).toBeGreaterThanOrEqual(LEAST);
    expect(median(coverages.map(({ host }) => host))).toBeGreaterThanOrEqual(LEAST);
    expect(median(coverages.map(({ start }) => start))).toBeGreaterThanOrEqual(LEAST);
  });
});

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
