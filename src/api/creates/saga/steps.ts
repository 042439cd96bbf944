import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { annotate, attribute } from "../../../lib/otel/tracing.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import type { Saga, Step } from "../../../lib/saga/saga.ts";
import type { HostLeases } from "../../leases/leases.ts";
import type { HostAddress } from "../../machines/host/host-address.ts";
import type { Machine } from "../../machines/machine.ts";
import type { Target } from "../../machines/machines.ts";
import { type CreateRequest, inDoubtAttempts, placedAttempt, refusingHosts } from "../store/create-state.ts";
import { award, reserve, undoAward } from "./award.ts";
import type { CreateRun } from "./create-run.ts";
import { type CreateTools, destroyAttempt, hostOf } from "./create-tools.ts";
import { nextAwardStep } from "./next-award-step.ts";
import { resolveImage } from "./resolve-image.ts";

const MAX_PREPARE_ATTEMPTS = 20;
/** Timeout of clean-up that also happens without it: by TTL or by the sweeper. */
const CLEANUP_TIMEOUT_MS = 2_000;

/** Preflight comes before the saga: its transaction stores it. */
export function createSaga(tools: CreateTools): Saga<CreateRun> {
  const steps = [
    resolve(tools),
    reserveStep(tools),
    awardStep(tools),
    release(tools),
    prepare(tools),
    commit(tools),
    launch(tools),
  ];
  return { name: "create", steps: steps.map(withProgress) };
}

function withProgress(step: Step<CreateRun>): Step<CreateRun> {
  return {
    ...step,
    async run(run, signal) {
      run.begin(step.name);
      await step.run(run, signal);
    },
  };
}

function resolve(tools: CreateTools): Step<CreateRun> {
  return {
    name: "resolve",
    async run(run, signal) {
      const { config, org } = run.request;
      run.save({ ...run.state, image: await resolveImage(tools, config, org, signal) });
    },
  };
}

function reserveStep(tools: CreateTools): Step<CreateRun> {
  return {
    name: "reserve",
    run: (run, signal) => reserve(tools, run, signal),
    async undo(run, signal) {
      // The last auction may have been held without being stored.
      const next = nextAwardStep(run.id, run.state, run.request.regions);
      const pending = next.kind === "auction" ? [next] : [];
      const limits = { signal, remainingMs: CLEANUP_TIMEOUT_MS };
      const releases = [...run.state.auctions, ...pending].map(async ({ reservationId, region }) =>
        tools.auctionsIn(region).release(reservationId, undefined, limits),
      );
      for (const result of await Promise.allSettled(releases)) {
        if (result.status === "fulfilled") continue;
        // Not stuck: holds expire, and name and quota must become free without a scheduler.
        logger.warn("a reservation could not be released", { create_id: run.id, error: result.reason });
      }
    },
  };
}

function awardStep(tools: CreateTools): Step<CreateRun> {
  return {
    name: "award",
    run: (run, signal) => award(tools, run, signal),
    undo: (run, signal) => undoAward(tools, run, signal),
  };
}

/** Ends the reservations and destroys the machine where it is in doubt, in the background. */
function release({ auctionsIn, hostd }: CreateTools): Step<CreateRun> {
  return {
    name: "release",
    async run(run, signal) {
      const limits = { signal, remainingMs: CLEANUP_TIMEOUT_MS };
      const winner = placed(run);
      for (const { reservationId, region } of run.state.auctions) {
        const host = reservationId === winner.reservationId ? winner.offer.hostNumber : undefined;
        const refused = refusingHosts(run.state, reservationId);
        run.inBackground(async () => auctionsIn(region).release(reservationId, host, limits, refused));
      }
      for (const attempt of inDoubtAttempts(run.state))
        run.inBackground(() => destroyAttempt(hostd, attempt, limits));
    },
  };
}

function prepare({ hostd, credentials, retryMs = 500 }: CreateTools): Step<CreateRun> {
  return {
    name: "prepare",
    async run(run, signal) {
      const { offer, machineId } = placed(run);
      annotate(attribute.machineId, machineId);
      const { registry, repository } = run.image;
      // Sent with the call and not stored with the machine.
      const found = await credentials.find(run.request.org, registry, repository);
      const order = { machineId, credentials: found };
      for (let attempt = 1; ; attempt++) {
        try {
          const report = run.report.bind(run);
          run.saveMachine(await hostd.prepareMachine(hostOf(offer), order, report, { signal }));
          return;
        } catch (err) {
          // hostd and the image cache may restart at any time, and go on with the pull.
          const isTransient = hasReason(err, "HOST_UNREACHABLE") || hasReason(err, "IMAGECACHE_UNAVAILABLE");
          if (!isTransient || attempt >= MAX_PREPARE_ATTEMPTS || signal.aborted) throw err;
          await sleep(retryMs, signal);
        }
      }
    },
  };
}

function commit({ ensureHostKnown }: CreateTools): Step<CreateRun> {
  return {
    name: "commit",
    async run(run) {
      await Promise.all([ensureHostKnown(hostOf(placed(run).offer)), run.commitMachine(described(run))]);
    },
  };
}

/** Starts the machine. A start that fails does not fail the create. */
function launch({ hostd, retryMs = 500 }: CreateTools): Step<CreateRun> {
  return {
    name: "launch",
    async run(run, signal) {
      const { offer, machineId } = placed(run);
      const host = hostOf(offer);
      // Its host refuses the start when the organisation was banned meanwhile.
      const target = { machineId, org: run.request.org };
      const leaseNonce = await renewLease(hostd, host, target, run.request.lease, signal);
      if (run.request.skipLaunch) return;
      if (run.isResumed) {
        // A program that an earlier run has started must not run twice.
        const machine = await hostd.getMachine(host, target, { signal });
        if (machine.state !== "created") {
          run.saveMachine(machine);
          return;
        }
      }
      try {
        const started = await hostd.startMachine(
          host,
          { ...target, watchMs: undefined, leaseNonce },
          { signal },
        );
        run.saveMachine(started.machine);
      } catch (error) {
        if (signal.aborted || hasReason(error, "MACHINE_NOT_FOUND")) throw error;
        logger.info("a new machine did not start", { machine_id: machineId, error });
        if (hasReason(error, "HOST_UNREACHABLE")) await sleep(retryMs, signal);
        const limits = { signal, remainingMs: CLEANUP_TIMEOUT_MS };
        run.saveMachine(await hostd.getMachine(host, target, limits).catch(() => described(run)));
      }
    },
  };
}

/**
 * Extends the lease of a new machine to its TTL from now, as the pull does not count. Returns
 * its nonce; empty when there is none, or somebody else has taken one meanwhile.
 */
async function renewLease(
  hostd: HostLeases,
  host: HostAddress,
  target: Target,
  wanted: CreateRequest["lease"],
  signal: AbortSignal,
): Promise<string> {
  if (!wanted) return "";
  const limits = { signal, remainingMs: CLEANUP_TIMEOUT_MS };
  try {
    const held = await hostd.getLease(host, target, limits).catch((err) => {
      if (!hasReason(err, "LEASE_NOT_FOUND")) throw err;
    });
    const order = { ...target, ...wanted, description: "", nonce: held?.nonce ?? "" };
    return held && held.owner !== wanted.owner ? "" : (await hostd.acquireLease(host, order, limits)).nonce;
  } catch (error) {
    if (signal.aborted) throw error;
    logger.info("the lease of a new machine was not renewed", { machine_id: target.machineId, error });
    return "";
  }
}

function placed(run: CreateRun) {
  const attempt = placedAttempt(run.state);
  if (!attempt) throw new Error("no host has the machine");
  return attempt;
}

function described(run: CreateRun): Machine {
  if (!run.state.machine) throw new Fault("INTERNAL", "INTERNAL", "the machine's host has not described it");
  return run.state.machine;
}
