import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { type Health, withHealth } from "../machines/health/readiness.ts";
import type { CheckStatus } from "../machines/machine.ts";
import type { MachineRuntime } from "../operations/machine-runtime.ts";

/** At most one event of a check, and one of the readiness, in this time. */
const EVENT_INTERVAL_MS = 10_000;

/** A part of the health that is stored by itself. */
interface Part {
  /** As it is stored. */
  stored: string;
  /** On the monotonic clock. */
  notBeforeMs: number;
}

interface HealthEvent {
  readonly type: "ready" | "check";
  readonly message: string;
}

/** Stores the health of one run: changes at once, but of what flaps only how it is every 10 s. */
export class HealthRecord {
  readonly #runtime: MachineRuntime;
  readonly #vmId: string;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #current: () => Health;
  readonly #parts = new Map<string, Part>();
  readonly #ready: Part;
  #timer: NodeJS.Timeout | undefined;

  /** @param stored as the machine has it @param current how it is now */
  constructor(
    runtime: MachineRuntime,
    vmId: string,
    clock: Pick<Clock, "monotonicMs">,
    stored: Health,
    current: () => Health,
  ) {
    this.#runtime = runtime;
    this.#vmId = vmId;
    this.#clock = clock;
    this.#current = current;
    this.#ready = { stored: String(stored.isReady), notBeforeMs: 0 };
    for (const { name, status } of stored.checks) this.#parts.set(name, { stored: status, notBeforeMs: 0 });
  }

  /** Stores what has changed, as far as it is due. */
  update(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const health = this.#current();
    const events: HealthEvent[] = [];
    let hasChanged = false;
    if (this.#take(this.#ready, String(health.isReady))) {
      hasChanged = true;
      if (health.isReady) events.push({ type: "ready", message: "" });
    }
    for (const check of health.checks) {
      const part = this.#parts.get(check.name) ?? { stored: "", notBeforeMs: 0 };
      this.#parts.set(check.name, part);
      const before = part.stored;
      if (!this.#take(part, check.status)) continue;
      hasChanged = true;
      // The first success is what everybody waits for: the readiness tells of it.
      if (before !== "warning" || check.status !== "passing") events.push(eventOf(check));
      else part.notBeforeMs = 0;
    }
    if (hasChanged) this.#store(health, events);
    this.#arm(health);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Whether a part has changed and is due. */
  #take(part: Part, value: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (part.stored === value || part.notBeforeMs > nowMs) return false;
    part.stored = value;
    part.notBeforeMs = nowMs + EVENT_INTERVAL_MS;
    return true;
  }

  #store(health: Health, events: readonly HealthEvent[]): void {
    for (const event of events.length > 0 ? events : [undefined])
      this.#runtime
        .note((machine, at) => withHealth(machine, this.#vmId, health, event, at))
        .catch((error: unknown) => {
          logger.error("could not note the health of a machine", { machine_id: this.#runtime.id, error });
        });
  }

  /** Sets the timer for what has changed and is not due yet. */
  #arm(health: Health): void {
    const waiting = health.checks
      .filter(({ name, status }) => this.#parts.get(name)?.stored !== status)
      .map(({ name }) => this.#parts.get(name)?.notBeforeMs ?? 0);
    if (this.#ready.stored !== String(health.isReady)) waiting.push(this.#ready.notBeforeMs);
    if (waiting.length === 0) return;
    const leftMs = Math.max(0, Math.min(...waiting) - this.#clock.monotonicMs());
    this.#timer = setTimeout(() => this.update(), leftMs + 1).unref();
  }
}

function eventOf({ name, status, output }: CheckStatus): HealthEvent {
  return { type: "check", message: `${name} is ${status}: ${output}` };
}
