import { annotate, attribute } from "../../../lib/otel/tracing.ts";
import { Fault, hasReason } from "../../../lib/runtime/fault.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { newMachineId } from "../../machines/machine-id.ts";
import { auctionRequest, type CreateContext, type CreateTools, hostOf, imageOf } from "./context.ts";
import {
  type Attempt,
  candidates,
  regionOf,
  withAttempt,
  withAuction,
  withAuctionOver,
  withOutcome,
} from "./create-state.ts";
import { type AwardStep, judge, nextAwardStep } from "./next-award-step.ts";

/** How long a host may take to say yes or no to an award, in milliseconds. */
const AWARD_MS = 10_000;

/** Gets the machine onto a host: what to do next is decided by `nextAwardStep`, and stored before it is done. */
export async function award(tools: CreateTools, ctx: CreateContext, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const step = nextAwardStep(ctx.id, ctx.state, candidates(ctx.request));
    switch (step.kind) {
      case "placed":
        annotate(attribute.machineId, step.attempt.machineId);
        return;
      case "ask":
        await ask(tools, ctx, step.attempt, signal);
        break;
      case "claim":
        await claim(tools, ctx, step, signal);
        break;
      case "auction":
        await holdAuction(tools, ctx, step, signal);
        break;
      case "fail":
        throw step.fault;
    }
  }
}

/** Destroys the machine on every host that has it or may have it. */
export async function undoAward(tools: CreateTools, ctx: CreateContext, signal: AbortSignal): Promise<void> {
  const suspects = ctx.state.attempts.filter((attempt) => attempt.outcome !== "refused");
  const results = await Promise.allSettled(
    suspects.map(({ offer, machineId }) => tools.hosts.destroy(hostOf(offer), machineId, { signal })),
  );
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/**
 * Claims the reservation, and stores which host will be asked for which machine. What the auction has claimed is claimed again only by a run that
 * goes on with another's: that one may have left it long ago, and a hold that is over is not to be held against its host.
 */
async function claim(
  { auctionsIn, random }: CreateTools,
  ctx: CreateContext,
  { reservationId, offer: best, isClaimed }: Extract<AwardStep, { kind: "claim" }>,
  signal: AbortSignal,
): Promise<void> {
  const region = regionOf(ctx.state, reservationId, ctx.request);
  let offer = best;
  try {
    if (!isClaimed || ctx.isResumed)
      offer = await auctionsIn(region).claim(reservationId, ctx.id, best.hostNumber, { signal });
  } catch (err) {
    const isGone =
      hasReason(err, "RESERVATION_EXPIRED") ||
      hasReason(err, "RESERVATION_CLAIMED") ||
      hasReason(err, "OFFER_UNKNOWN");
    if (!isGone) throw err;
    logger.info("a reservation could not be claimed", {
      create_id: ctx.id,
      reservation_id: reservationId,
      error: err,
    });
    await ctx.save(withAuctionOver(ctx.state));
    return;
  }
  const machineId = newMachineId(offer.hostNumber, random());
  const state = withAttempt(ctx.state, machineId, reservationId, region, offer);
  const attempt = state.attempts.at(-1);
  if (attempt) await ctx.saveAttempt(state, attempt);
}

/** Asks the host of a stored attempt, and stores its answer. */
async function ask(
  tools: CreateTools,
  ctx: CreateContext,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const { machineId, offer, reservationId } = attempt;
  const { createTraceId } = ctx;
  const request = { ...ctx.request, region: attempt.region ?? ctx.request.region };
  const order = { machineId, request, image: imageOf(ctx), createTraceId, reservationId, epoch: offer.epoch };
  try {
    const machine = await tools.hosts.create(hostOf(offer), order, { signal, remainingMs: AWARD_MS });
    const state = { ...withOutcome(ctx.state, machineId, "placed"), machine };
    await ctx.saveMachine(state, machine);
  } catch (err) {
    // Aborted by us: the host is not to blame, and undo asks it again. Anything but a fault is a bug of ours, or a store that failed.
    if (
      signal.aborted ||
      !(err instanceof Fault) ||
      err.reason === "DATABASE_UNAVAILABLE" ||
      err.reason === "LEASE_LOST"
    ) {
      throw err;
    }
    const verdict = judge(err);
    logger.info("a host did not take an award", {
      create_id: ctx.id,
      host: offer.hostNumber,
      error: err,
      verdict,
    });
    if (verdict === "fatal") throw err;
    await ctx.save(withOutcome(ctx.state, machineId, verdict, err.reason));
  }
}

/** Holds auctions until one has offers, as {@link nextAwardStep} says. @throws Fault why there are none */
export async function reserve(tools: CreateTools, ctx: CreateContext, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const step = nextAwardStep(ctx.id, ctx.state, candidates(ctx.request));
    if (step.kind === "fail") throw step.fault;
    if (step.kind !== "auction") return;
    await holdAuction(tools, ctx, step, signal);
  }
}

/** Reasons that say something about a region, and nothing about the next. */
const OF_THE_REGION: ReadonlySet<string> = new Set([
  "NO_CAPACITY",
  "NO_HOSTS",
  "SCHEDULER_UNAVAILABLE",
  "AUCTION_QUEUE_FULL",
]);

async function holdAuction(
  { auctionsIn }: CreateTools,
  ctx: CreateContext,
  step: Extract<AwardStep, { kind: "auction" }>,
  signal: AbortSignal,
): Promise<void> {
  const { region, reservationId } = step;
  let found: Parameters<typeof withAuction>[3] = { offers: [] };
  try {
    const request = auctionRequest(ctx, reservationId, step.excludedHosts);
    found = await auctionsIn(region).reserve(request, { signal });
  } catch (err) {
    const isNobody = hasReason(err, "NO_CAPACITY") || hasReason(err, "NO_HOSTS");
    // With hosts left out, nobody else having room is not the last word on why this create fails.
    if (step.isFirst || !isNobody) {
      const isOnly = candidates(ctx.request).length === 1;
      if (isOnly || signal.aborted || !(err instanceof Fault) || !OF_THE_REGION.has(err.reason)) throw err;
      found = { offers: [], refusal: { reason: err.reason, message: err.message } };
      ctx.report({ detail: `${region}: ${err.reason}`, bytesDone: 0, bytesTotal: 0 });
    }
  }
  await ctx.save(withAuction(ctx.state, reservationId, region, found));
}
