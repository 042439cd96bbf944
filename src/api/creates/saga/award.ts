import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { annotate, attribute } from "../../../lib/otel/tracing.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { newMachineId } from "../../machines/ids/machine-id.ts";
import {
  type Attempt,
  type Auction,
  withAttempt,
  withAuction,
  withAuctionOver,
  withOutcome,
} from "../store/create-state.ts";
import type { CreateRun } from "./create-run.ts";
import { type CreateTools, destroyAttempt, hostOf } from "./create-tools.ts";
import { type AuctionStep, type ClaimStep, classify, nextAwardStep } from "./next-award-step.ts";

const AWARD_TIMEOUT_MS = 10_000;
const UNDO_TIMEOUT_MS = 20_000;

/** Reasons of a reservation that can no longer be claimed. */
const RESERVATION_GONE = ["RESERVATION_EXPIRED", "RESERVATION_CLAIMED", "OFFER_UNKNOWN"];

/** Faults after which another region is tried. */
const REGION_FAULTS: ReadonlySet<string> = new Set([
  "NO_CAPACITY",
  "NO_HOSTS",
  "SCHEDULER_UNAVAILABLE",
  "AUCTION_QUEUE_FULL",
]);

/** Holds auctions until one has offers. @throws Fault why there are none */
export async function reserve(tools: CreateTools, run: CreateRun, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const step = nextAwardStep(run.id, run.state, run.request.regions);
    if (step.kind === "fail") throw step.fault;
    if (step.kind !== "auction") return;
    await holdAuction(tools, run, step, signal);
  }
}

export async function award(tools: CreateTools, run: CreateRun, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const step = nextAwardStep(run.id, run.state, run.request.regions);
    switch (step.kind) {
      case "placed":
        annotate(attribute.machineId, step.attempt.machineId);
        return;
      case "ask":
        await ask(tools, run, step.attempt, signal);
        break;
      case "claim":
        await claim(tools, run, step, signal);
        break;
      case "auction":
        await holdAuction(tools, run, step, signal);
        break;
      case "fail":
        throw step.fault;
    }
  }
}

/** Destroys the machine on every host that has it or may have it. */
export async function undoAward(tools: CreateTools, run: CreateRun, signal: AbortSignal): Promise<void> {
  const limits = { signal, remainingMs: UNDO_TIMEOUT_MS };
  const suspects = run.state.attempts.filter((attempt) => attempt.outcome !== "refused");
  const results = await Promise.allSettled(
    suspects.map((attempt) => destroyAttempt(tools.hostd, attempt, limits)),
  );
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/**
 * Claims a reservation and stores the attempt. A resumed run claims again what the auction has
 * claimed: a hold that is over by now must not count against its host.
 */
async function claim(
  { auctionsIn, random }: CreateTools,
  run: CreateRun,
  { region, reservationId, offer: best, isClaimed }: ClaimStep,
  signal: AbortSignal,
): Promise<void> {
  let offer = best;
  try {
    if (!isClaimed || run.isResumed)
      offer = await auctionsIn(region).claim(reservationId, run.id, best.hostNumber, { signal });
  } catch (error) {
    if (!RESERVATION_GONE.some((reason) => hasReason(error, reason))) throw error;
    const facts = { create_id: run.id, reservation_id: reservationId, error };
    logger.info("a reservation could not be claimed", facts);
    run.save(withAuctionOver(run.state));
    return;
  }
  const machineId = newMachineId(offer.hostNumber, random());
  const state = withAttempt(run.state, machineId, reservationId, region, offer);
  const attempt = state.attempts.at(-1);
  if (attempt) await run.saveAttempt(state, attempt);
}

async function ask(
  { hostd }: CreateTools,
  run: CreateRun,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const { machineId, offer, region, reservationId } = attempt;
  const { name, app, org, config, skipLaunch, cordoned = false, lease } = run.request;
  const order = {
    ...{ machineId, name, app, org, region, config, reservationId, cordoned },
    image: run.image,
    createTraceId: run.createTraceId,
    epoch: offer.epoch,
    keepForLaunch: !skipLaunch,
    lease: lease && { ...lease, description: "" },
  };
  try {
    const limits = { signal, remainingMs: AWARD_TIMEOUT_MS };
    const machine = await hostd.createMachine(hostOf(offer), order, limits);
    run.saveMachine(machine, withOutcome(run.state, machineId, "placed"));
  } catch (error) {
    // An aborted call says nothing about the host; undo asks it again.
    if (signal.aborted || !(error instanceof Fault) || error.reason === "LEASE_LOST") throw error;
    const faultClass = classify(error);
    const facts = { create_id: run.id, host: offer.hostNumber, error, fault_class: faultClass };
    logger.info("a host did not take an award", facts);
    if (faultClass === "fatal") throw error;
    run.save(withOutcome(run.state, machineId, faultClass, error.reason));
  }
}

async function holdAuction(
  { auctionsIn }: CreateTools,
  run: CreateRun,
  step: AuctionStep,
  signal: AbortSignal,
): Promise<void> {
  const { region, reservationId, excludedHosts } = step;
  let result: Pick<Auction, "offers" | "claimedHost" | "refusal"> = { offers: [] };
  try {
    const { app, config, placement } = run.request;
    const { cpus, memoryMb } = config.guest;
    const size = { cpus, memoryMb, imageDigest: run.image.digest };
    const request = { reservationId, ...size, app, excludedHosts, claimant: run.id, placement };
    result = await auctionsIn(region).reserve(request, { signal });
  } catch (err) {
    const isNobody = hasReason(err, "NO_CAPACITY") || hasReason(err, "NO_HOSTS");
    // With hosts excluded, it does not follow that the region has no capacity.
    if (step.isFirst || !isNobody) {
      const isOnly = run.request.regions.length === 1;
      if (isOnly || signal.aborted || !(err instanceof Fault) || !REGION_FAULTS.has(err.reason)) throw err;
      result = { offers: [], refusal: { reason: err.reason, message: err.message } };
      run.report({ detail: `${region}: ${err.reason}`, bytesDone: 0, bytesTotal: 0 });
    }
  }
  run.save(withAuction(run.state, reservationId, region, result));
}
