import { Fault } from "../../../lib/faults/fault.ts";
import type { Credentials } from "../../../lib/oci/auth/credentials.ts";
import type { Clock } from "../../../lib/runtime/clock.ts";
import type { ImageCacheClient } from "../../images/imagecache-client.ts";
import { allowed, decideReplace } from "../../machines/decisions/decide.ts";
import { type UpdateOptions, versionMismatch } from "../../machines/decisions/update.ts";
import type { Ids } from "../../machines/ids.ts";
import { guardLease } from "../../machines/lease.ts";
import type { Machine } from "../../machines/machine.ts";
import type { MachineConfig } from "../../machines/machine-config.ts";
import type { ImageRef, LocalImage, UpdateKey } from "../../machines/version.ts";
import type { Proxies } from "../../proxies/proxies.ts";
import { watchStart } from "../launch/start-watch.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import type { Pulls } from "../requests/pulls.ts";
import type { RequestQueue } from "../requests/request-queue.ts";
import type { Suspends } from "../saves/suspends.ts";
import type { Stops } from "../stops/stops.ts";
import type { ImagePins } from "./image-pins.ts";
import { requestReused } from "./update-faults.ts";
import { type NewVersion, UpdateOperation, type UpdateParts } from "./update-operation.ts";

/** A new version of a machine, as a call asks for it. */
export interface UpdateRequest extends UpdateOptions {
  readonly config: MachineConfig;
  readonly imageRef: ImageRef;
  readonly credentials: Credentials | undefined;
  /** Version that the machine must have; empty: any. */
  readonly currentVersion: string;
  readonly nonce: string;
  /** By which the call may be repeated. Absent: it cannot be. */
  readonly key?: UpdateKey;
  /** Time for which a new process is watched when there is no rollback. */
  readonly watchMs: number;
}

export type UpdatesParts = UpdateParts & {
  readonly images: Pick<ImageCacheClient, "ensure">;
  readonly pins: Pick<ImagePins, "hold" | "unpinUnused">;
  readonly proxies: Pick<Proxies, "leaveFor">;
  readonly ids: Pick<Ids, "event">;
  readonly clock: Pick<Clock, "now">;
};

/** An update under way that a repeat joins. */
interface Repeatable {
  readonly hash: string;
  readonly done: Promise<Machine>;
  /** Of its caller. */
  readonly signal: AbortSignal;
}

/** What else there is on the machine that an update depends on. */
interface Others {
  readonly stops: Pick<Stops, "watch">;
  readonly suspends: Pick<Suspends, "watch">;
  readonly pulls: Pick<Pulls, "run">;
}

/**
 * The updates of one machine. An image is pulled, and pinned, before anything of the machine is
 * touched, and before other calls have to wait.
 */
export class Updates {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: UpdatesParts;
  readonly #others: Others;
  /** Those under way that may be repeated, by the id of their request. */
  readonly #repeatable = new Map<string, Repeatable>();

  constructor(runtime: MachineRuntime, queue: RequestQueue, parts: UpdatesParts, others: Others) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
    this.#others = others;
  }

  /**
   * Replaces the version of the machine. A repeat joins the update under way, or finds what it has done.
   * `signal` ends only the pull.
   *
   * @throws Fault LEASE_HELD, REQUEST_ID_REUSED, VERSION_MISMATCH, AUTO_DESTROY, INVALID_STATE, MACHINE_BUSY; as the image cache; as
   *   {@link UpdateOperation}
   */
  async update(request: UpdateRequest, signal: AbortSignal): Promise<Machine> {
    const { key, nonce } = request;
    if (!key) return this.#make(request, signal);
    const { id, hash } = key;
    for (;;) {
      guardLease(this.#runtime.machine, nonce, this.#parts.clock.now());
      const known = this.#repeatable.get(id) ?? this.#made(id, signal);
      if (!known) break;
      if (known.hash !== hash) throw requestReused(this.#runtime.id, id);
      try {
        return await known.done;
      } catch (err) {
        // Its caller has gone and ended its pull: this one makes the update.
        if (known.signal === signal || !known.signal.aborted || signal.aborted) throw err;
      }
    }
    const done = this.#make(request, signal);
    this.#repeatable.set(id, { hash, done, signal });
    try {
      return await done;
    } finally {
      this.#repeatable.delete(id);
    }
  }

  /** Returns an update that was made, of an earlier hostd perhaps not to its end. */
  #made(id: string, signal: AbortSignal): Repeatable | undefined {
    const { spec, state } = this.#runtime.machine;
    const made = spec.updates?.find((each) => each.id === id);
    if (!made) return undefined;
    const isUnderWay = state === "updating" && made.instanceId === spec.instanceId;
    const rest: Promise<unknown> = (isUnderWay && this.#queue.last?.done) || Promise.resolve();
    return { hash: made.hash, done: rest.then(() => this.#runtime.machine), signal };
  }

  async #make(request: UpdateRequest, signal: AbortSignal): Promise<Machine> {
    const { config, imageRef, launch, skipLaunch, rollbackWithinMs, watchMs } = request;
    const { clock, ids, pins } = this.#parts;
    const check = (machine: Machine) => this.#check(machine, request);
    check(this.#runtime.machine);
    this.#refuse();
    const { stops, suspends } = this.#others;
    const watches = [stops.watch(), suspends.watch()];
    const wasStopped = () => watches.some((hasCome) => hasCome());
    const { id, spec } = this.#runtime.machine;
    const release = pins.hold({ digest: imageRef.digest, owner: id, org: spec.org });
    try {
      const image = await this.#image(request, signal);
      const version = { instanceId: ids.event(clock.now()), config, imageRef, image };
      const update = { version, key: request.key, check, wasStopped, launch, skipLaunch, rollbackWithinMs };
      return await this.#replace(update, watchMs);
    } finally {
      release();
      await pins.unpinUnused(id, [imageRef.digest]);
    }
  }

  /** Goes on with an update whose intent is stored, unless an operation is under way. */
  async resume(): Promise<void> {
    if (!this.#queue.last) await this.#begin((operation, signal) => operation.resume(signal));
  }

  /** Refuses an update in a state that has none, or after too many others. @throws Fault INVALID_STATE, MACHINE_BUSY */
  #refuse(): void {
    allowed(decideReplace(this.#runtime.machine, this.#queue.activity, "update"));
    this.#queue.refuseWhenFull(this.#runtime.id);
  }

  #check(machine: Machine, { currentVersion, nonce }: UpdateRequest): void {
    guardLease(machine, nonce, this.#parts.clock.now());
    const { id, spec } = machine;
    if (currentVersion !== "" && currentVersion !== spec.instanceId)
      throw versionMismatch("ABORTED", machine, currentVersion);
    if (!spec.config.autoDestroy) return;
    const message = `machine ${id} destroys itself when its process has ended, and cannot be updated`;
    throw new Fault("FAILED_PRECONDITION", "AUTO_DESTROY", message, { machine_id: id });
  }

  async #image({ imageRef, credentials }: UpdateRequest, signal: AbortSignal): Promise<LocalImage> {
    const { id, spec } = this.#runtime.machine;
    if (spec.imageRef.digest === imageRef.digest && spec.image) return spec.image;
    const pull = (until: AbortSignal) =>
      this.#parts.images.ensure(imageRef, { owner: id, org: spec.org, credentials }, until);
    for await (const step of this.#others.pulls.run(pull, signal))
      if (step.kind === "ready") return step.image;
    throw new Error(`the image cache has ended the pull of ${imageRef.digest} without the image`);
  }

  async #replace(update: NewVersion, watchMs: number): Promise<Machine> {
    this.#refuse();
    await this.#begin((operation, signal) => {
      const isDestroyed = this.#queue.activity === "destroy";
      allowed(decideReplace(this.#runtime.machine, isDestroyed ? "destroy" : undefined, "update"));
      return operation.run(update, signal);
    });
    await watchStart(this.#runtime, watchMs);
    return this.#runtime.machine;
  }

  #begin(run: (operation: UpdateOperation, signal: AbortSignal) => Promise<Machine>): Promise<Machine> {
    const cancellation = new AbortController();
    const operation = new UpdateOperation(this.#runtime, this.#parts);
    const done = this.#queue.after(() => run(operation, cancellation.signal));
    this.#parts.proxies.leaveFor(this.#runtime.machine, done);
    return this.#queue.add({
      kind: "update",
      done,
      cancellation,
      stopOperation: operation,
      trial: operation,
    });
  }
}
