import { Fault } from "../../lib/faults/fault.ts";
import { withRemoteParent } from "../../lib/otel/tracing.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin } from "../../lib/runtime/wait.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { Ports } from "../capacity/ports.ts";
import { restartDenied } from "../machines/change.ts";
import { ready } from "../machines/decisions/update.ts";
import type { Machine } from "../machines/machine.ts";
import { type Due, leftMs, nextDue } from "../machines/own-starts/due.ts";
import { scheduleRefused, scheduleSkipped } from "../machines/own-starts/schedule.ts";
import { isActive, isStartable } from "../machines/states.ts";
import { digestsOf } from "../machines/version.ts";
import type { Starts } from "./launch/starts.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import type { RemoveReason } from "./remove.ts";
import type { Stops } from "./stops/stops.ts";
import type { ImagePins } from "./updates/image-pins.ts";
import type { Updates } from "./updates/updates.ts";

export interface DueParts {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, "unreserve" | "releaseLaunch">;
  readonly ports: Pick<Ports, "release">;
  readonly pins: Pick<ImagePins, "unpinUnused">;
  readonly closing: AbortSignal;
  /** Whether machines of an organisation may not be started. */
  readonly isBanned: (org: string) => boolean;
}

/** The operations that can be due. */
interface Worker {
  readonly runtime: MachineRuntime;
  readonly activity: string | undefined;
  readonly starts: Pick<Starts, "startDue">;
  readonly updates: Pick<Updates, "resume">;
  readonly stops: Pick<Stops, "stop">;
  destroy(force: boolean, why: RemoveReason): Promise<Machine>;
}

/** Timers beyond this are set anew: the longest that there is has 24 days. */
const MAX_TIMER_MS = 24 * 60 * 60_000;
/** Pause after an unexpected failure. */
const RETRY_MS = 1_000;
/** How long the exit of a VM that was taken over may take. */
const EXIT_MS = 100;
const LIFETIME_OVER = { source: "hostd", message: "it has run for its max_lifetime" } as const;
const AUTO_DESTROY = {
  source: "hostd",
  message: "its process has ended, and it destroys itself then",
  waitsForReaders: true,
} as const;

/**
 * Runs the operations on a machine that no call asks for: restarts, scheduled starts, the rest of
 * an update, its removal.
 */
export class DueWork {
  readonly #worker: Worker;
  readonly #parts: DueParts;
  #timer: NodeJS.Timeout | undefined;
  /** On the monotonic clock. */
  #notBeforeMs = 0;

  constructor(worker: Worker, parts: DueParts) {
    this.#worker = worker;
    this.#parts = parts;
  }

  /** Resets the timer after a change, and releases the image and room of an update that has ended. */
  changed(after: Machine, before: Machine): void {
    if (!isActive(after.state) || after.state === "started") {
      if (after.update === undefined) this.#parts.ledger.unreserve(after.id);
    }
    if (before.state === "created" && after.state === "stopped") this.#parts.ledger.releaseLaunch(after.id);
    if (before.spec !== after.spec && after.state !== "destroyed") this.#release(after, before);
    this.arm();
  }

  /** Sets the timer for what is due next, unless an operation is under way. */
  arm(): void {
    this.disarm();
    if (this.#worker.activity !== undefined || this.#parts.closing.aborted) return;
    const due = nextDue(this.#worker.runtime.machine);
    if (due === undefined) return;
    const { clock } = this.#parts;
    const pauseMs = Math.max(0, this.#notBeforeMs - clock.monotonicMs(), leftMs(due, clock.now()));
    this.#timer = setTimeout(() => this.#run(), Math.min(pauseMs, MAX_TIMER_MS));
    this.#timer.unref();
  }

  disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Stops the timer. Later changes do not set it again. */
  close(): void {
    this.disarm();
    this.#notBeforeMs = Number.POSITIVE_INFINITY;
  }

  #run(): void {
    const due = this.#worker.activity === undefined ? nextDue(this.#worker.runtime.machine) : undefined;
    if (due === undefined || leftMs(due, this.#parts.clock.now()) > 0) {
      this.arm();
      return;
    }
    // A trace of its own, not that of the call after which the timer was set.
    withRemoteParent("", () => this.#do(due)).catch((error: unknown) => {
      const { id } = this.#worker.runtime;
      const level = error instanceof Fault ? "info" : "error";
      logger[level]("a host could not do what was due", { machine_id: id, due: due.what, error });
      // Usually the failure has changed what is due.
      this.#notBeforeMs = this.#parts.clock.monotonicMs() + RETRY_MS;
      this.arm();
    });
  }

  async #do({ what }: Due): Promise<void> {
    const { runtime } = this.#worker;
    switch (what) {
      case "destroy":
        await this.#worker.destroy(false, AUTO_DESTROY);
        return;
      case "ready":
        // A VM that was taken over tells a moment later that its process had ended before.
        if (runtime.vm && (await endsWithin(EXIT_MS, runtime.ended))) return;
        await runtime.note(ready);
        return;
      case "lifetime":
        await this.#worker.stops.stop({ why: LIFETIME_OVER });
        return;
      case "update":
        return this.#worker.updates.resume();
      case "schedule":
        return this.#startScheduled();
      case "policy":
        if (!this.#parts.isBanned(runtime.machine.spec.org)) return this.#worker.starts.startDue("policy");
        await runtime.note((machine, at) =>
          restartDenied(machine, "ORG_BANNED", "its organisation is banned", at),
        );
        return;
      default:
        return this.#worker.starts.startDue(what);
    }
  }

  async #startScheduled(): Promise<void> {
    const { runtime } = this.#worker;
    const { machine } = runtime;
    if (!isStartable(machine.state) || this.#parts.isBanned(machine.spec.org)) {
      await runtime.note(scheduleSkipped);
      return;
    }
    try {
      await this.#worker.starts.startDue("schedule");
    } catch (err) {
      // A start that was begun has an event of its own.
      if (runtime.machine.generation !== machine.generation) return;
      const { reason, message } =
        err instanceof Fault ? err : { reason: "START_FAILED", message: String(err) };
      await runtime.note((now, at) => scheduleRefused(now, reason, message, at));
    }
  }

  /** Releases ports and images of a version that is no longer needed. */
  #release(after: Machine, before: Machine): void {
    const { runtime } = this.#worker;
    const used = new Set([...after.ports, ...(after.update?.previousPorts ?? [])]);
    const ports = [...before.ports, ...(before.update?.previousPorts ?? [])];
    this.#parts.ports.release(ports.filter((port) => !used.has(port)));
    const digests = digestsOf(after.spec);
    const unused = digestsOf(before.spec).filter((digest) => !digests.includes(digest));
    if (unused.length === 0) return;
    // A VM may still have it open.
    void runtime.untilTornDown().then(() => this.#parts.pins.unpinUnused(runtime.id, unused));
  }
}
