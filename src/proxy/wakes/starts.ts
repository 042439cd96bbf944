import { Fault } from "../../lib/faults/fault.ts";
import { activeTraceparent, attribute, withRemoteParent, withSpan } from "../../lib/otel/tracing.ts";
import type { Started } from "../hosts/calls-client.ts";
import type { MachineView } from "../hosts/machine-view.ts";
import type { MachineState } from "../machines/machine-state.ts";
import type { Timers } from "../timers.ts";
import { newStart, outcomeOf, type Start } from "./start.ts";

/** A start that has failed. */
export interface StartFailure {
  readonly fault: unknown;
  /** The machine is not started again before. */
  readonly untilMs: number;
  readonly count: number;
  /** Whether requests need not wait for another try. */
  readonly isFinal: boolean;
  readonly instanceId: string;
  /** Of its span. Empty: not traced. */
  readonly traceparent?: string;
}

/** What starts are made with, and who hears of them. */
export interface StartParts {
  readonly timers: Timers;
  start(machineId: string, traceparent: string, signal: AbortSignal): Promise<Started>;
  view(machineId: string): MachineView | undefined;
  /** Whether the host's stream is lost. */
  isLost(machineId: string): boolean;
  /** The machine is needed from now on, until what is returned is called: the start is over. */
  begin(machineId: string): () => void;
  /** Something about the machine's start is new: those who wait may go on. */
  changed(machineId: string): void;
  ended(start: Start, fault: unknown): void;
}

/** Pauses after failures: doubled each time, up to the longest. */
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;
/** Hosts that do not answer may be restarting. */
const UNREACHABLE_PAUSE_MS = 250;
const UNREACHABLE_TRIES = 4;
/** A host whose stream is lost for so long after its answer has forgotten the start, or is gone. */
const LOST_LIMIT_MS = 5_000;
/** The longest time that a service may let requests wait. Afterwards an idle machine may be stopped, ready or not. */
const READY_LIMIT_MS = 600_000;
/** States that lead to a run. */
const BEGINNING: ReadonlySet<MachineState> = new Set(["creating", "starting", "restarting", "updating"]);

/** The starts of machines; of those that this proxy asks for one at a time for each machine, however many wait for it. */
export class Starts {
  readonly #parts: StartParts;
  readonly #underWay = new Map<string, Start>();
  /** Functions that end the use of a machine that starts, by its id. It may have left the table meanwhile. */
  readonly #ends = new Map<string, () => void>();
  /** The last start of each machine that became ready. */
  readonly #done = new Map<string, Start>();
  /** Starts that somebody else has asked for, until the machine is ready. */
  readonly #others = new Map<string, Start>();
  readonly #failures = new Map<string, StartFailure>();
  readonly #abort = new AbortController();

  constructor(parts: StartParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#underWay.size;
  }

  isUnderWay(machineId: string): boolean {
    return this.#underWay.has(machineId);
  }

  /** The last start of a machine that has become ready. */
  lastOf(machineId: string): Start | undefined {
    return this.#done.get(machineId);
  }

  /** The last failure, until the machine is started with success or has a new version. */
  failureOf(machineId: string): StartFailure | undefined {
    return this.#failures.get(machineId);
  }

  /** Starts a machine, unless that is under way. */
  begin(machineId: string, traceparent: string): void {
    if (this.#underWay.has(machineId)) return;
    const start = newStart(machineId, this.#parts.timers.now());
    this.#others.delete(machineId);
    this.#underWay.set(machineId, start);
    // The host hears of the use before the start: it does not stop the machine in between.
    this.#ends.set(machineId, this.#parts.begin(machineId));
    void this.#run(start, traceparent);
  }

  /** The host has told something of a machine. */
  viewChanged(machineId: string): void {
    const view = this.#parts.view(machineId);
    const failure = this.#failures.get(machineId);
    if (failure && view && (view.ready || isOther(view.instanceId, failure)))
      this.#failures.delete(machineId);
    const start = this.#underWay.get(machineId);
    if (start) this.#decide(start);
    else if (view) this.#observe(machineId, view);
  }

  /** Gives up starts at hosts that are gone, and of machines that do not become ready. Must be called periodically. */
  sweep(): void {
    const now = this.#parts.timers.now();
    for (const start of this.#underWay.values()) {
      if (start.startedMs === undefined) continue;
      const forMs = now - start.startedMs;
      if (forMs >= LOST_LIMIT_MS && this.#parts.isLost(start.machineId)) this.#fail(start, unreachable());
      else if (forMs >= READY_LIMIT_MS) this.#fail(start, neverReady());
    }
  }

  /** Forgets a machine that is there no more. */
  forget(machineId: string): void {
    this.#done.delete(machineId);
    this.#others.delete(machineId);
    this.#failures.delete(machineId);
  }

  close(): void {
    this.#abort.abort();
  }

  async #run(start: Start, traceparent: string): Promise<void> {
    const { timers } = this.#parts;
    try {
      const answer = await withRemoteParent(traceparent, () => this.#ask(start, traceparent));
      start.startedMs = timers.now();
      Object.assign(start, answer);
      this.#decide(start);
    } catch (error) {
      this.#fail(start, error);
    }
  }

  /** Asks the host in a span, which goes on from that of the last start when that has failed. */
  #ask(start: Start, parent: string): Promise<Started> {
    const { machineId } = start;
    const attributes = { [attribute.machineId]: machineId };
    const before = this.#failures.get(machineId)?.traceparent ?? "";
    const ask = () => {
      start.span = { traceparent: activeTraceparent() || parent, parent };
      return this.#parts.start(machineId, start.span.traceparent, this.#abort.signal);
    };
    return withSpan("proxy.start", attributes, ask, { links: before === "" ? [] : [before] });
  }

  #decide(start: Start): void {
    if (this.#underWay.get(start.machineId) !== start) return;
    const outcome = outcomeOf(start, this.#parts.view(start.machineId));
    if (outcome.kind === "failed") this.#fail(start, outcome.fault);
    if (outcome.kind !== "ready") return;
    this.#ready(start);
    this.#failures.delete(start.machineId);
    this.#finish(start, undefined);
  }

  /** Requests may wait for a start of another proxy, or of a user, as they do for one of this proxy. */
  #observe(machineId: string, view: MachineView): void {
    const other = this.#others.get(machineId);
    if (BEGINNING.has(view.state)) {
      if (!other) this.#others.set(machineId, newStart(machineId, this.#parts.timers.now()));
      return;
    }
    if (view.state === "started" && other) {
      other.startedMs ??= this.#parts.timers.now();
      if (!view.ready) return;
      this.#ready(other);
    }
    this.#others.delete(machineId);
  }

  #ready(start: Start): void {
    const { startPath = "", startTraceId = "" } = this.#parts.view(start.machineId) ?? {};
    start.readyMs = this.#parts.timers.now();
    start.path ||= startPath;
    start.traceId ||= startTraceId;
    this.#done.set(start.machineId, start);
  }

  #fail(start: Start, fault: unknown): void {
    if (this.#underWay.get(start.machineId) !== start) return;
    const { timers } = this.#parts;
    const count = (this.#failures.get(start.machineId)?.count ?? 0) + 1;
    const isUnreachable = fault instanceof Fault && fault.code === "UNAVAILABLE";
    const first = isUnreachable ? UNREACHABLE_PAUSE_MS : PAUSE_MS;
    const retryMs = fault instanceof Fault ? (fault.retryAfterMs ?? 0) : 0;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(retryMs, first * 2 ** (count - 1)));
    this.#failures.set(start.machineId, {
      ...{ fault, count, untilMs: timers.now() + pauseMs },
      isFinal: !isUnreachable || count >= UNREACHABLE_TRIES,
      instanceId: this.#parts.view(start.machineId)?.instanceId ?? "",
      traceparent: start.span?.traceparent ?? "",
    });
    this.#finish(start, fault);
  }

  #finish(start: Start, fault: unknown): void {
    this.#underWay.delete(start.machineId);
    this.#parts.ended(start, fault);
    this.#parts.changed(start.machineId);
    this.#ends.get(start.machineId)?.();
    this.#ends.delete(start.machineId);
  }
}

function isOther(instanceId: string, failure: StartFailure): boolean {
  return failure.instanceId !== "" && instanceId !== failure.instanceId;
}

function neverReady(): Fault {
  const message = `the machine has not become ready within ${READY_LIMIT_MS / 60_000} minutes`;
  return new Fault("FAILED_PRECONDITION", "NOT_READY", message);
}

function unreachable(): Fault {
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "the machine's host does not answer");
}
