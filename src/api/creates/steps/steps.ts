import { annotate, attribute, withSpan } from "../../../lib/otel/tracing.ts";
import { Fault, hasReason } from "../../../lib/runtime/fault.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import type { Saga, Step } from "../../../lib/saga/saga.ts";
import type { Machine } from "../../machines/machine.ts";
import { award, reserve, undoAward } from "./award.ts";
import { type CreateContext, type CreateTools, hostOf } from "./context.ts";
import { candidates, doubtfulAttempts, placedAttempt, refusals } from "./create-state.ts";
import { nextAwardStep } from "./next-award-step.ts";

/** How often a host that went away in the middle of `prepare` is asked again. */
const PREPARE_ATTEMPTS = 20;
/** Clean-up that is not worth waiting for: what it misses, time-outs and the sweeper find. */
const CLEANUP_MS = 2_000;

/**
 * A create, step by step. The intent (name, quota, request id) is stored before the saga begins; `preflight` only takes it back. Each step may be
 * repeated, and each undo takes back all that its step may have done.
 */
export function createSaga(tools: CreateTools): Saga<CreateContext> {
  const steps = [
    preflight(),
    resolve(tools),
    reserveStep(tools),
    awardStep(tools),
    release(tools),
    prepare(tools),
    record(tools),
    launch(tools),
  ];
  return { name: "create", steps: steps.map(announced) };
}

function preflight(): Step<CreateContext> {
  return {
    name: "preflight",
    run: async () => {},
    undo: (ctx) => ctx.forget(),
  };
}

/** Says that the step begins, for those who watch. */
function announced(step: Step<CreateContext>): Step<CreateContext> {
  return {
    ...step,
    async run(ctx, signal) {
      ctx.begin(step.name);
      await step.run(ctx, signal);
    },
  };
}

function resolve({ images }: CreateTools): Step<CreateContext> {
  return {
    name: "resolve",
    run: (ctx, signal) =>
      withSpan(
        "api.resolve_image",
        { [attribute.imageReference]: ctx.request.config.image },
        async (span) => {
          const image = await images.resolve(ctx.request.config.image, signal);
          span.setAttribute(attribute.imageDigest, image.digest);
          await ctx.save({ ...ctx.state, image });
        },
      ),
  };
}

function reserveStep(tools: CreateTools): Step<CreateContext> {
  return {
    name: "reserve",
    run: (ctx, signal) => reserve(tools, ctx, signal),
    async undo(ctx, signal) {
      const next = nextAwardStep(ctx.id, ctx.state, candidates(ctx.request));
      // The last one may have been held and not been stored.
      const pending = next.kind === "auction" ? [next] : [];
      const scope = { signal, remainingMs: CLEANUP_MS };
      const releases = [...ctx.state.auctions, ...pending].map(
        async ({ reservationId, region = ctx.request.region }) =>
          tools.auctionsIn(region).release(reservationId, undefined, scope),
      );
      for (const result of await Promise.allSettled(releases)) {
        if (result.status === "fulfilled") continue;
        // Holds end by themselves; a scheduler that is down must not keep name and quota of what failed.
        logger.warn("a reservation could not be released", { create_id: ctx.id, error: result.reason });
      }
    },
  };
}

function awardStep(tools: CreateTools): Step<CreateContext> {
  return {
    name: "award",
    run: (ctx, signal) => award(tools, ctx, signal),
    undo: (ctx, signal) => undoAward(tools, ctx, signal),
  };
}

/**
 * Losers let go, and hosts that did not answer are told that nobody wants their machine. Whatever is missed ends by itself, so the next step does
 * not wait for it.
 */
function release({ auctionsIn, hosts }: CreateTools): Step<CreateContext> {
  return {
    name: "release",
    async run(ctx, signal) {
      const scope = { signal, remainingMs: CLEANUP_MS };
      const winner = placed(ctx);
      const cleanUps = [
        ...ctx.state.auctions.map(async ({ reservationId, region = ctx.request.region }) =>
          auctionsIn(region).release(
            reservationId,
            reservationId === winner.reservationId ? winner.offer.hostNumber : undefined,
            scope,
            refusals(ctx.state, reservationId),
          ),
        ),
        ...doubtfulAttempts(ctx.state).map(({ offer, machineId }) =>
          hosts.destroy(hostOf(offer), machineId, scope),
        ),
      ];
      for (const cleanUp of cleanUps) ctx.meanwhile(cleanUp);
    },
  };
}

function prepare({ hosts, retryMs = 500 }: CreateTools): Step<CreateContext> {
  return {
    name: "prepare",
    async run(ctx, signal) {
      const { offer, machineId } = placed(ctx);
      annotate(attribute.machineId, machineId);
      for (let attempt = 1; ; attempt++) {
        try {
          const machine = await hosts.prepare(hostOf(offer), machineId, (within) => ctx.report(within), {
            signal,
          });
          await ctx.saveMachine({ ...ctx.state, machine }, machine);
          return;
        } catch (err) {
          // hostd and the image cache may restart at any moment, and go on where they were.
          const passes = hasReason(err, "HOST_UNREACHABLE") || hasReason(err, "IMAGECACHE_UNAVAILABLE");
          if (!passes || attempt >= PREPARE_ATTEMPTS || signal.aborted) throw err;
          await sleep(retryMs, signal);
        }
      }
    },
  };
}

function record({ meet }: CreateTools): Step<CreateContext> {
  return {
    name: "record",
    async run(ctx) {
      await Promise.all([meet(hostOf(placed(ctx).offer)), ctx.recordMachine(described(ctx))]);
    },
  };
}

/** A machine that does not start is created all the same: its state and events say why. */
function launch({ hosts, retryMs = 500 }: CreateTools): Step<CreateContext> {
  return {
    name: "launch",
    async run(ctx, signal) {
      if (ctx.request.skipLaunch) return;
      const { offer, machineId } = placed(ctx);
      const host = hostOf(offer);
      // An earlier run may have started it, and the process may have ended since: it is not for a create to start it twice.
      const before = ctx.isResumed ? await hosts.get(host, machineId, { signal }) : undefined;
      let machine = before;
      if (before === undefined || before.state === "created") {
        try {
          machine = await hosts.start(host, machineId, { signal });
        } catch (error) {
          if (signal.aborted || hasReason(error, "MACHINE_NOT_FOUND")) throw error;
          logger.info("a new machine did not start", { machine_id: machineId, error });
          if (hasReason(error, "HOST_UNREACHABLE")) await sleep(retryMs, signal);
          machine = await hosts
            .get(host, machineId, { signal, remainingMs: CLEANUP_MS })
            .catch(() => described(ctx));
        }
      }
      if (machine) await ctx.saveMachine({ ...ctx.state, machine }, machine);
    },
  };
}

function placed(ctx: CreateContext) {
  const attempt = placedAttempt(ctx.state);
  if (!attempt) throw new Error("no host has the machine");
  return attempt;
}

function described(ctx: CreateContext): Machine {
  if (!ctx.state.machine) throw new Fault("INTERNAL", "INTERNAL", "the machine's host has not described it");
  return ctx.state.machine;
}
