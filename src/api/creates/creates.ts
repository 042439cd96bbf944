import { randomUUID } from "node:crypto";
import { Fault, isServerFault } from "../../lib/faults/fault.ts";
import { Paces } from "../../lib/limits/paces.ts";
import {
  type Attributes,
  activeTraceparent,
  attribute,
  nowUs,
  recordWait,
  withSpan,
} from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { systemClock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { HeldLease, Leases } from "../leases/leases.ts";
import { parseMachineId } from "../machines/ids/machine-id.ts";
import type { Machines, MachineView } from "../machines/machines.ts";
import type { Caller } from "../requests/caller.ts";
import type { Shares } from "../shares/shares.ts";
import type { CreateSlots } from "../shares/turns/create-slots.ts";
import { Turns } from "../shares/turns/turns.ts";
import { type CreateRunner, LEASE_MS, newOwner } from "./create-runner.ts";
import { requestHash } from "./request-hash.ts";
import { SharedPolls } from "./shared-polls.ts";
import { type CreateRequest, type CreateState, placedAttempt } from "./store/create-state.ts";
import { faultFromData } from "./store/fault-data.ts";
import { type IntentStore, nameTakenBy } from "./store/intent-store.ts";
import type { StepProgress } from "./store/progress.ts";
import type { SagaStore } from "./store/saga-store.ts";
import type { StoredSaga } from "./store/stored-saga.ts";

export interface Created extends MachineView {
  /** Whether an earlier call with the same request id has created it. */
  readonly repeated: boolean;
  /** The lease that the caller has asked for. Absent: none, or it has ended. */
  readonly lease?: HeldLease;
}

export interface CreatesParts {
  readonly intents: IntentStore;
  readonly sagas: SagaStore;
  readonly runner: CreateRunner;
  readonly machines: Machines;
  readonly leases: Pick<Leases, "get">;
  /** Makes a name for a machine without one. */
  readonly makeName: () => string;
  readonly slots: CreateSlots;
  readonly shares: Pick<Shares, "charge">;
}

/** Tokens of a create that fails by its caller's fault: it has cost a registry and the database. */
const FAILED_CREATE_TOKENS = 10;

/**
 * Preflights of an organisation at a time. They wait for each other's lock on its row anyway; more
 * would only hold the connections to the database that others need.
 */
const PREFLIGHTS_AT_ONCE = 4;
const POLL_MS = 200;
/**
 * Reads of the database by those of an organisation who wait for creates that run elsewhere. More
 * wait longer.
 */
const POLLS = { perSecond: 100, burst: 200 };
/** While the machine that has a name has no id yet. */
const OWNER_POLLS = 10;
const FIND_TIMEOUT_MS = 5_000;

export class Creates {
  readonly #parts: CreatesParts;
  readonly #preflights = new Turns(PREFLIGHTS_AT_ONCE);
  readonly #pollPaces = new Paces({ ...POLLS, clock: systemClock });
  readonly #polls = new SharedPolls<CreateState | undefined>((id, isAwaited) => this.#poll(id, isAwaited));

  constructor(parts: CreatesParts) {
    this.#parts = parts;
  }

  /**
   * Creates a machine. Without a request id the create is undone when the caller goes away. With
   * one it goes on, and a repeated call returns the same machine.
   */
  async create(request: CreateRequest, requestId: string | undefined, caller: Caller): Promise<Created> {
    const created = await this.#create(request, requestId, caller);
    const lease = request.lease && (await this.#leaseOn(created.machine.id, request.lease.owner, caller));
    return lease ? { ...created, lease } : created;
  }

  async #create(request: CreateRequest, requestId: string | undefined, caller: Caller): Promise<Created> {
    const { runner } = this.#parts;
    const attributes = createAttributes(request, runner.size);
    return withSpan("api.create", attributes, async (span) => {
      runner.assertOpen();
      const owner = newOwner();
      const slot = this.#takeSlot(request.org, requestId);
      // Of this span, which the saga is below, also when another api goes on with it.
      const traceparent = activeTraceparent();
      const { isNew, saga } = await withSpan("api.preflight", {}, () => {
        const enteredUs = nowUs();
        return this.#preflights.run(request.org, async () => {
          recordWait("api.turn", enteredUs);
          caller.signal?.throwIfAborted();
          return this.#begin(request, requestId, owner, traceparent);
        });
      }).catch(async (err) => {
        slot?.[Symbol.dispose]();
        throw await this.#withOwner(err, request, caller);
      });
      if (!isNew) {
        slot?.[Symbol.dispose]();
        span.setAttribute(attribute.joined, true);
        return this.#join(saga, caller);
      }
      const signal = requestId === undefined ? caller.signal : undefined;
      const run = runner.start(saga, owner, signal).finally(() => slot?.[Symbol.dispose]());
      run.catch((err) => this.#chargeFailure(request.org, err));
      const state = await abortable(run, caller.signal);
      if (!state.machine) throw new Error("a create ended without a machine");
      span.setAttribute(attribute.machineId, state.machine.id);
      return { machine: state.machine, hostStatus: "ok", repeated: false };
    });
  }

  /** Yields the progress of a create. @throws Fault `CREATE_NOT_FOUND` after 5 s without one */
  async *watch(org: string, requestId: string, signal: AbortSignal): AsyncGenerator<StepProgress> {
    const { runner, sagas } = this.#parts;
    const deadline = performance.now() + FIND_TIMEOUT_MS;
    while (!signal.aborted) {
      const progress = runner.progress(org, requestId);
      if (progress) {
        yield* progress.follow(signal);
        return;
      }
      await this.#pollPaces.take(org, 1, signal);
      const stored = await sagas.find(org, requestId);
      if (stored) {
        yield* this.#followStored(stored, signal);
        return;
      }
      if (performance.now() > deadline) throw createNotFound(requestId);
      await sleep(POLL_MS, signal);
    }
  }

  /** Reads the lease that the create has acquired; undefined when it is not the caller's any more. */
  async #leaseOn(machineId: string, owner: string, caller: Caller): Promise<HeldLease | undefined> {
    const id = parseMachineId(machineId);
    // The create has succeeded, with or without its lease.
    const lease = id && (await this.#parts.leases.get(id, caller).catch(() => undefined));
    return lease?.owner === owner ? lease : undefined;
  }

  /** Repeats of a create that runs here need none. */
  #takeSlot(org: string, requestId: string | undefined): Disposable | undefined {
    const { runner, slots } = this.#parts;
    const isRepeat = requestId !== undefined && runner.progress(org, requestId) !== undefined;
    return isRepeat ? undefined : slots.take(org);
  }

  /**
   * Names the machine that has the name of a create: clients use it. One that is created at the same time has
   * an id a moment later.
   */
  async #withOwner(err: unknown, { org, app, name }: CreateRequest, { signal }: Caller): Promise<unknown> {
    if (!(err instanceof Fault) || err.reason !== "MACHINE_NAME_TAKEN" || err.facts["machine_id"]) return err;
    for (let i = 0; i < OWNER_POLLS && !signal?.aborted; i++) {
      await sleep(POLL_MS, signal);
      await this.#pollPaces.take(org, 1, signal ?? NEVER);
      const id = await this.#parts.intents.nameOwner(app, name).catch(() => undefined);
      if (id) return nameTakenBy(id, app, name);
      // Its create was undone: there is no machine to name.
      if (id === undefined) return err;
    }
    return err;
  }

  #chargeFailure(org: string, err: unknown): void {
    if (!(err instanceof Fault) || isServerFault(err.code) || err.code === "CANCELLED") return;
    this.#parts.shares.charge(org, "create", FAILED_CREATE_TOKENS - 1);
  }

  #begin(request: CreateRequest, requestId: string | undefined, owner: string, traceparent: string) {
    return this.#parts.intents.begin({
      id: randomUUID(),
      request,
      ...(requestId === undefined ? {} : { requestId }),
      requestHash: requestHash(request),
      traceparent,
      owner,
      leaseMs: LEASE_MS,
      makeName: this.#parts.makeName,
    });
  }

  /** Waits for an earlier create with the same request id, wherever it runs. */
  async #join(saga: StoredSaga, caller: Caller): Promise<Created> {
    const outcome = this.#parts.runner.outcome(saga.id);
    const state =
      outcome !== undefined
        ? await abortable(outcome, caller.signal)
        : await this.#polls.wait(saga.id, caller.signal);
    if (!state) throw createNotFound(saga.requestId ?? "");
    const id = parseMachineId(placedAttempt(state)?.machineId ?? "");
    if (!id) throw new Error("a create that is done has no machine");
    return { ...(await this.#parts.machines.get(id, caller)), repeated: true };
  }

  /** Polls until the create ends. Undefined: it is not known any more, or nobody waits. */
  async #poll(id: string, isAwaited: () => boolean): Promise<CreateState | undefined> {
    do {
      const saga = await this.#parts.sagas.get(id);
      if (!saga) break;
      if (saga.status === "done") return saga.state;
      if (saga.fault) throw faultFromData(saga.fault);
      await sleep(POLL_MS);
      await this.#pollPaces.take(saga.org, 1, NEVER);
    } while (isAwaited());
    return undefined;
  }

  async *#followStored({ id, org }: StoredSaga, signal: AbortSignal): AsyncGenerator<StepProgress> {
    const { sagas } = this.#parts;
    let last: StepProgress | undefined;
    while (!signal.aborted) {
      // Read before its steps, which then include everything up to the end.
      const saga = await sagas.get(id);
      for (const step of await sagas.steps(id, last?.sequence ?? 0)) {
        if (last?.sequence === step.sequence && last.timeMs === step.timeMs) continue;
        yield step;
        last = step;
      }
      if (!saga || (saga.status !== "running" && saga.status !== "undoing")) return;
      await sleep(POLL_MS, signal);
      await this.#pollPaces.take(org, 2, signal);
    }
  }
}

const NEVER = new AbortController().signal;
/** @param running creates under way in this process */
function createAttributes({ regions, app, config }: CreateRequest, running: number): Attributes {
  const { cpuKind, cpus, memoryMb } = config.guest;
  return {
    [attribute.region]: regions[0] ?? "",
    [attribute.app]: app,
    [attribute.imageReference]: config.image,
    [attribute.size]: `${cpuKind || "shared"}-${cpus}x-${memoryMb}`,
    [attribute.concurrency]: running,
  };
}

function createNotFound(requestId: string): Fault {
  return new Fault("NOT_FOUND", "CREATE_NOT_FOUND", `no create with the request_id ${requestId} is known`, {
    request_id: requestId,
  });
}
