import { randomUUID } from "node:crypto";
import { activeTraceparent, attribute, withSpan } from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { type MachineId, parseMachineId } from "../machines/machine-id.ts";
import type { Machines, Seen } from "../machines/machines.ts";
import type { Caller } from "../requests/scope.ts";
import { type CreateRunner, LEASE_MS, newOwner } from "./create-runner.ts";
import { toFault } from "./fault-data.ts";
import type { CreateStore } from "./intent-store.ts";
import { requestHash } from "./request-hash.ts";
import type { StoredSaga } from "./saga-row.ts";
import type { SagaStore } from "./saga-store.ts";
import { type CreateRequest, type CreateState, placedAttempt } from "./steps/create-state.ts";
import type { StepProgress } from "./steps/progress.ts";

/** A machine that was created now, or by an earlier call with the same request id. */
export interface Created extends Seen {
  readonly repeated: boolean;
}

/** What {@link Creates} works with. */
export interface CreatesParts {
  readonly creates: CreateStore;
  readonly sagas: SagaStore;
  readonly runner: CreateRunner;
  readonly machines: Machines;
  /** A name for a machine whose caller gave none. */
  readonly makeName: () => string;
}

/** How often a create that another api runs is looked at. */
const POLL_MS = 200;
/** How long a create is looked for before it is said not to exist. */
const FIND_MS = 5_000;

/** Creates machines: lets them begin, waits for them, and follows them. */
export class Creates {
  readonly #parts: CreatesParts;

  constructor(parts: CreatesParts) {
    this.#parts = parts;
  }

  /**
   * Creates a machine. Without a request id the create is undone when the caller goes away; with one it goes on, and whoever calls with the
   * same one gets the same machine.
   *
   * @throws Fault as documented for `MachinesService.CreateMachine`
   */
  async create(request: CreateRequest, requestId: string | undefined, caller: Caller): Promise<Created> {
    return withSpan("api.create", { [attribute.region]: request.region }, async (span) => {
      const { runner } = this.#parts;
      runner.assertOpen();
      const owner = newOwner();
      const { isNew, saga } = await withSpan("api.preflight", {}, () =>
        this.#begin(request, requestId, owner),
      );
      if (!isNew) return this.#join(saga, caller);
      const signal = requestId === undefined ? caller.signal : undefined;
      const state = await abortable(runner.start(saga, owner, signal), caller.signal);
      if (!state.machine) throw new Error("a create ended without a machine");
      span.setAttribute(attribute.machineId, state.machine.id);
      return { machine: state.machine, hostStatus: "ok", repeated: false };
    });
  }

  /**
   * Follows a create by its request id, from its beginning to its end.
   *
   * @throws Fault NOT_FOUND / `CREATE_NOT_FOUND` when there is none for 5 s
   */
  async *watch(org: string, requestId: string, signal: AbortSignal): AsyncGenerator<StepProgress> {
    const until = performance.now() + FIND_MS;
    while (!signal.aborted) {
      const here = this.#parts.runner.progress(org, requestId);
      if (here) {
        yield* here.follow(signal);
        return;
      }
      const stored = await this.#parts.sagas.find(org, requestId);
      if (stored) {
        yield* this.#followStored(stored.id, signal);
        return;
      }
      if (performance.now() > until) throw createNotFound(requestId);
      await sleep(POLL_MS, signal);
    }
  }

  #begin(request: CreateRequest, requestId: string | undefined, owner: string) {
    return this.#parts.creates.begin({
      id: randomUUID(),
      request,
      ...(requestId === undefined ? {} : { requestId }),
      requestHash: requestHash(request),
      traceparent: activeTraceparent(),
      owner,
      leaseMs: LEASE_MS,
      makeName: this.#parts.makeName,
    });
  }

  /** Waits for an earlier create with this request id, wherever it runs. */
  async #join(saga: StoredSaga, caller: Caller): Promise<Created> {
    const here = this.#parts.runner.outcome(saga.id);
    const state =
      here !== undefined ? await abortable(here, caller.signal) : await this.#poll(saga, caller.signal);
    const id = placedId(state);
    if (!id) throw new Error("a create that is done has no machine");
    return { ...(await this.#parts.machines.get(id, caller)), repeated: true };
  }

  async #poll(saga: StoredSaga, signal: AbortSignal | undefined): Promise<CreateState> {
    let now: StoredSaga | undefined = saga;
    while (now) {
      if (now.status === "done") return now.state;
      if (now.fault) throw toFault(now.fault);
      signal?.throwIfAborted();
      await sleep(POLL_MS, signal);
      now = await this.#parts.sagas.get(saga.id);
    }
    throw createNotFound(saga.requestId ?? "");
  }

  async *#followStored(id: string, signal: AbortSignal): AsyncGenerator<StepProgress> {
    let last: StepProgress | undefined;
    while (!signal.aborted) {
      // Read first: what is stored before the end is then certainly among the steps.
      const saga = await this.#parts.sagas.get(id);
      const steps = await this.#parts.sagas.steps(id, last?.sequence ?? 0);
      for (const step of steps) {
        if (last?.sequence === step.sequence && last.timeMs === step.timeMs) continue;
        yield step;
        last = step;
      }
      if (!saga || saga.status === "done" || saga.status === "failed" || saga.status === "stuck") return;
      await sleep(POLL_MS, signal);
    }
  }
}

function placedId(state: CreateState): MachineId | undefined {
  return parseMachineId(placedAttempt(state)?.machineId ?? "");
}

function createNotFound(requestId: string): Fault {
  return new Fault("NOT_FOUND", "CREATE_NOT_FOUND", `no create with the request_id ${requestId} is known`, {
    request_id: requestId,
  });
}
