import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operationsOf } from "../../src/lib/latency/analysis/classify.ts";
import { configOf } from "../support/clients.ts";
import { traceClient } from "../support/telemetry/trace-client.ts";
import { coverageBelow, spanNamed, traceOf } from "../support/telemetry/trace-coverage.ts";
import { openWorld, type World } from "./world/world.ts";

/** What a warm start may take: of a slower one, what the spans leave open is a smaller share. */
const LAUNCH_MS = 40;
const STARTS = 30;
const LEAST = 0.95;
/** Share of a start, as an operation, in which nothing says what ran: of half of them, and of nearly all. */
const UNEXPLAINED = { most: 0.03, nearlyAll: 0.05 };
/** A busy machine takes the processor away between two spans now and then. A span that is missing is missing every time. */
const AGAIN = { timeout: 180_000, interval: 100 };

const API = "windhover.machines.v1.MachinesService/StartMachine";
const HOSTD = "windhover.hostd.v1.HostService/StartMachine";

describe("the trace of a start", () => {
  let world: World;
  let stopTracing: () => Promise<void>;
  let id: string;

  beforeAll(async () => {
    world = await openWorld(1, { HOSTD_SIM_LATENCY: `${LAUNCH_MS}ms` });
    stopTracing = await traceClient(world.fleet);
    const { clients, app, image } = world;
    ({ id } = await clients.create({ app, skipLaunch: true, config: configOf(image) }));
  });
  afterAll(async () => {
    await stopTracing?.();
    await world?.close();
  });

  it("accounts for 95 % of a start's time, from the client's call to its answer", async () => {
    const tooLittle = async () => {
      const { calls, within, unexplained } = await shares();
      return Object.entries({
        "of the client's calls": [quantile(calls, 0.1) >= LEAST, calls],
        "within the services": [quantile(within, 0.5) >= LEAST, within],
        "unexplained in half": [quantile(unexplained, 0.5) <= UNEXPLAINED.most, unexplained],
        "unexplained in nearly all": [quantile(unexplained, 0.9) <= UNEXPLAINED.nearlyAll, unexplained],
      }).filter(([, [isEnough]]) => !isEnough);
    };

    await expect.poll(tooLittle, AGAIN).toEqual([]);
  });

  /** Shares of starts that their spans account for, and that they leave open. */
  async function shares() {
    const { clients, fleet, app } = world;
    const traceIds: string[] = [];
    for (let index = 0; index < STARTS; index++) {
      traceIds.push((await clients.start(id)).machine?.lastStartTraceId ?? "");
      await clients.stop(id);
    }
    const calls: number[] = [];
    const within: number[] = [];
    const unexplained: number[] = [];
    for (const traceId of traceIds) {
      const spans = await traceOf(fleet, traceId);
      const call = spanNamed(API, spans, "client");
      expect(call.parent_span_id, "the client's call is the root").toBeUndefined();
      calls.push(coverageBelow(call, spans));
      for (const [name, kind] of [[API, "server"], [HOSTD, "server"], ["hostd.start"]] as const)
        within.push(coverageBelow(spanNamed(name, spans, kind), spans));
      const starts = operationsOf(spans, Date.now()).filter(({ kind }) => kind === "start");
      expect(starts).toMatchObject([{ machineId: id, app, region: expect.stringMatching(/./), reason: "" }]);
      for (const { org, host, image: reference, size, path, version } of starts)
        for (const fact of [org, host, reference, size, path, version]) expect(fact).not.toBe("");
      unexplained.push(...starts.map((start) => start.unexplainedUs / start.durationUs));
    }
    return { calls, within, unexplained };
  }
});

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
}
