import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Placement } from "../../src/gen/windhover/machines/v1/machine.ts";
import type { Reservation } from "../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../src/lib/faults/fault.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { concurrently } from "../lib/concurrently.ts";
import { cpuMs } from "../lib/cpu.ts";
import type { AuctionFleet } from "./fleet.ts";

const LIMIT = { timeoutMs: 10_000 };
/** What every auction asks for; the image is nowhere, which is the case in which an auction waits longest. */
const RESOURCES = { cpus: 1, memoryMb: 256n, diskMb: 1_024n };
const IMAGE = `sha256:${"a".repeat(64)}`;
/** Of the first auctions nothing is counted: code that Node has not compiled yet. */
const WARM_UP = 1_000;
/** How long nothing is asked of the scheduler, for what its hosts cost it by being there. */
const REST_MS = 5_000;

/** What a fleet of one size came to. */
export interface Figures {
  /** Of Reserve, one after the other, in milliseconds. */
  readonly auctionMs: readonly number[];
  /** The same with an award after each, 64 under way at any moment. */
  readonly loadedMs: readonly number[];
  /** Awards a second, a figure for each round. */
  readonly awardsPerSecond: readonly number[];
  /** Auctions or awards that failed: nobody answered within the bid window, say. */
  readonly failed: number;
  /** Bids, answers and releases, for each auction. */
  readonly messages: number;
  /** Of the scheduler, in MB: at rest, after all of it. */
  readonly memoryMb: readonly [rest: number, loaded: number];
  /** Share of one processor that the scheduler uses at rest, in percent. */
  readonly restCpu: number;
  /** Processor time for each award, in milliseconds. */
  readonly cpuMs: { readonly scheduler: number; readonly redis: number; readonly hosts: number };
}

/** Measures a fleet. @param runs auctions one by one; as many awards in each round at saturation */
export async function measure(
  fleet: AuctionFleet,
  runs: number,
  rounds: number,
  say: (detail: string) => void,
  signal: AbortSignal,
): Promise<Figures> {
  say("warming up");
  for (let i = 0; i < WARM_UP; i++) await awarded(fleet, await reserved(fleet));
  say("at rest");
  const before = cpuMs(fleet.pids.scheduler);
  await delay(REST_MS, undefined, { signal });
  const restCpu = (100 * (cpuMs(fleet.pids.scheduler) - before)) / REST_MS;
  const restMb = fleet.memoryMb();

  say("one by one");
  const sentBefore = await messages(fleet, signal);
  const auctionMs: number[] = [];
  let failed = 0;
  const cycle = async (samples: number[]) => {
    signal.throwIfAborted();
    const begun = performance.now();
    try {
      const reservation = await reserved(fleet);
      samples.push(performance.now() - begun);
      await awarded(fleet, reservation);
    } catch (err) {
      if (!(err instanceof Fault) || signal.aborted) throw err;
      failed += 1;
    }
  };
  for (let i = 0; i < runs; i++) await cycle(auctionMs);
  const sent = (await messages(fleet, signal)) - sentBefore;

  const loadedMs: number[] = [];
  const awardsPerSecond: number[] = [];
  const spentBefore = spent(fleet);
  for (let round = 1; round <= rounds; round++) {
    say(`many at once, round ${round} of ${rounds}`);
    const begun = performance.now();
    await concurrently(Array.from({ length: runs }), 64, () => cycle(loadedMs));
    awardsPerSecond.push((1_000 * runs) / (performance.now() - begun));
  }
  const spentAfter = spent(fleet);
  const each = (who: keyof typeof spentAfter) => (spentAfter[who] - spentBefore[who]) / (runs * rounds);
  return {
    auctionMs,
    loadedMs,
    awardsPerSecond,
    failed,
    messages: sent / runs,
    memoryMb: [restMb, fleet.memoryMb()],
    restCpu,
    cpuMs: { scheduler: each("scheduler"), redis: each("redis"), hosts: each("hosts") },
  };
}

async function reserved({ client }: AuctionFleet): Promise<Reservation> {
  const request = {
    ...{ reservationId: randomUUID(), resources: RESOURCES, imageDigest: IMAGE, excludedHosts: [] },
    ...{ app: "bench", placement: Placement.fromPartial({}), claimant: "bench" },
  };
  const { reservation } = await call(client, client.reserve, request, LIMIT);
  if (!reservation) throw new Error("an auction without a reservation");
  return reservation;
}

/** What an api does with a reservation that was claimed with it: awards the host, lets the others go. */
async function awarded(fleet: AuctionFleet, reservation: Reservation): Promise<void> {
  const { id, offers, claimedHost } = reservation;
  const offer = offers.find(({ hostNumber }) => hostNumber === claimedHost);
  if (!offer) throw new Error("a reservation that was not claimed");
  const { hostNumber, epoch } = offer;
  const award = { host: hostNumber, reservationId: id, epoch: String(epoch) };
  await fleet.processOf(hostNumber).award(award);
  const { client } = fleet;
  await call(client, client.release, { reservationId: id, awardedHost: hostNumber, refusedHosts: [] }, LIMIT);
}

async function messages({ processes }: AuctionFleet, signal: AbortSignal): Promise<number> {
  // The last releases may still be on their way.
  await delay(100, undefined, { signal });
  const counts = await Promise.all(processes.map((each) => each.messages(signal)));
  return counts.reduce((sum, count) => sum + count, 0);
}

function spent({ pids }: AuctionFleet) {
  const hosts = pids.hosts.reduce((sum, pid) => sum + cpuMs(pid), 0);
  return { scheduler: cpuMs(pids.scheduler), redis: cpuMs(pids.redis), hosts };
}
