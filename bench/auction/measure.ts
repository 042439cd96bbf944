import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pMap from "p-map";
import { Placement } from "../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../src/lib/faults/fault.ts";
import { call } from "../../src/lib/grpc/client.ts";
import type { Run } from "../lib/benchmark.ts";
import { cpuMs } from "../lib/measure/cpu.ts";
import type { AuctionFleet } from "./fleet.ts";

const LIMIT = { timeoutMs: 10_000 };
const RESOURCES = { cpus: 1, memoryMb: 256n, diskMb: 1_024n };
/** No host has it: then an auction waits longest. */
const IMAGE = `sha256:${"a".repeat(64)}`;
/** Auctions before the first that counts, for Node to compile code. */
const WARM_UP = 1_000;
/** How long the scheduler gets no calls, to measure what attached hosts cost it. */
const REST_MS = 5_000;
const ROUNDS = 4;
const AT_ONCE = 64;
/** The last releases arrive within this time. */
const RELEASE_MS = 100;

/** The figures of a fleet of one size. */
export interface Figures {
  /** Times of Reserve, one after the other. */
  readonly auctionMs: readonly number[];
  /** The same with 64 awards under way at any moment. */
  readonly loadedMs: readonly number[];
  /** One for each round. */
  readonly awardsPerSecond: readonly number[];
  /** Auctions or awards that failed. */
  readonly failed: number;
  /** Bids, answers and releases of an auction. */
  readonly messages: number;
  /** Resident memory of the scheduler. */
  readonly memoryMb: readonly [rest: number, loaded: number];
  /** Processor time of the scheduler at rest, in percent of one processor. */
  readonly restCpu: number;
  /** Processor time of an award, in milliseconds. */
  readonly cpuMs: Cpu;
}

type Cpu = Readonly<Record<"scheduler" | "redis" | "hosts", number>>;

/** Measures a fleet: `runs` auctions one by one, and as many awards in each round at saturation. */
export async function measure(fleet: AuctionFleet, { runs, progress, signal }: Run): Promise<Figures> {
  return await progress.step("auctions", async (say) => {
    let failed = 0;
    const measured = async (samples: number[]) => {
      signal.throwIfAborted();
      try {
        await cycle(fleet, samples);
      } catch (err) {
        if (!(err instanceof Fault) || signal.aborted) throw err;
        failed += 1;
      }
    };
    say("warming up");
    for (let i = 0; i < WARM_UP; i++) await measured([]);
    failed = 0;
    say("at rest");
    const before = cpuMs(fleet.pids.scheduler);
    await delay(REST_MS, undefined, { signal });
    const restCpu = (100 * (cpuMs(fleet.pids.scheduler) - before)) / REST_MS;
    const restMb = fleet.memoryMb();

    say("one by one");
    const auctionMs: number[] = [];
    await delay(RELEASE_MS, undefined, { signal });
    const messagesBefore = await fleet.messages();
    for (let i = 0; i < runs; i++) await measured(auctionMs);
    await delay(RELEASE_MS, undefined, { signal });
    const messages = ((await fleet.messages()) - messagesBefore) / runs;

    const loadedMs: number[] = [];
    const awardsPerSecond: number[] = [];
    const spentBefore = spent(fleet);
    for (let round = 1; round <= ROUNDS; round++) {
      say(`many at once, round ${round} of ${ROUNDS}`);
      const startedAt = performance.now();
      await pMap(Array(runs).keys(), () => measured(loadedMs), { concurrency: AT_ONCE });
      awardsPerSecond.push((1_000 * runs) / (performance.now() - startedAt));
    }
    const spentAfter = spent(fleet);
    const each = (part: keyof Cpu) => (spentAfter[part] - spentBefore[part]) / (runs * ROUNDS);
    return {
      ...{ auctionMs, loadedMs, awardsPerSecond, failed, messages, restCpu },
      memoryMb: [restMb, fleet.memoryMb()],
      cpuMs: { scheduler: each("scheduler"), redis: each("redis"), hosts: each("hosts") },
    };
  });
}

/** Reserves with a claim, awards and releases. Adds the time of the auction to `samples`. */
async function cycle(fleet: AuctionFleet, samples: number[]): Promise<void> {
  const { client } = fleet;
  const request = {
    ...{ reservationId: randomUUID(), resources: RESOURCES, imageDigest: IMAGE, excludedHosts: [] },
    ...{ app: "bench", placement: Placement.fromPartial({}), claimant: "bench" },
  };
  const startedAt = performance.now();
  const { reservation } = await call(client, client.reserve, request, LIMIT);
  samples.push(performance.now() - startedAt);
  const offer = reservation?.offers.find(({ hostNumber }) => hostNumber === reservation.claimedHost);
  if (!reservation || !offer) throw new Error("no offer was claimed");
  const { hostNumber, epoch } = offer;
  await fleet.award(hostNumber, reservation.id, epoch);
  const release = { reservationId: reservation.id, awardedHost: hostNumber, refusedHosts: [] };
  await call(client, client.release, release, LIMIT);
}

function spent({ pids }: AuctionFleet): Cpu {
  const hosts = pids.hosts.reduce((sum, pid) => sum + cpuMs(pid), 0);
  return { scheduler: cpuMs(pids.scheduler), redis: cpuMs(pids.redis), hosts };
}
