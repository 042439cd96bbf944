import type { Semaphore } from "../../lib/limits/semaphore.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { type PlannedCheck, planChecks, portsOfChecks } from "../machines/health/check-plan.ts";
import { type Health, initialStatus, isReadyBy } from "../machines/health/readiness.ts";
import type { CheckStatus, Machine } from "../machines/machine.ts";
import { isToBeSaved } from "../machines/snapshot.ts";
import type { MachineRuntime } from "../operations/machine-runtime.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { ListeningPort, Vm } from "../vmm/vmm.ts";
import { HealthRecord } from "./health-record.ts";
import { type CheckResult, runHttpCheck } from "./http-check.ts";

export interface CheckParts {
  readonly clock: Clock;
  readonly proxies: Proxies;
  /** Acquires the right to run a check, for an organisation. */
  readonly runs: { readonly acquire: (org: string, signal: AbortSignal) => ReturnType<Semaphore["acquire"]> };
}

const MAX_OUTPUT_BYTES = 512;
/** A status that is confirmed has a new time this often. */
const CONFIRM_INTERVAL_MS = 10_000;
/** Pauses until the first success. A longer run, and one that comes late, keeps to its interval. */
const FIRST_PAUSES = { fromMs: 10, toMs: 50, whenWithinMs: 250, forMs: 120_000 };

/** One that has passed before the run leaves the processor to the first requests for so long. */
const REST_MS = 1_000;
/** Successes in a row before a machine is saved, so that what answers has been compiled in what later starts get. */
const PASSES_BEFORE_SAVE = 5;

/** For a VM that an earlier hostd has started, and beyond the ports that a guest watches. */
const NOT_KNOWN: CheckResult = { isPassing: true, output: "not known: this VM does not tell" };

/** The checks of one run of a machine, from the start of its program, or of hostd, to its end. */
export class RunChecks {
  readonly vmId: string;
  readonly #parts: CheckParts;
  readonly #runtime: MachineRuntime;
  readonly #plan: readonly PlannedCheck[];
  readonly #statuses = new Map<string, CheckStatus>();
  readonly #record: HealthRecord;
  readonly #ended: AbortSignal;
  readonly #ports = new Map<number, ListeningPort["state"]>();
  /** Those of which the VM tells whether its program listens. */
  #watched: ReadonlySet<number> = new Set();
  /** Aborted and replaced when the states of ports change. */
  #portsChanged = new AbortController();

  /** @param ended aborts when the run has ended, or hostd closes */
  constructor(runtime: MachineRuntime, vm: Vm, parts: CheckParts, ended: AbortSignal) {
    const { machine } = runtime;
    const { checks = [], isReady = false } = machine;
    this.vmId = vm.id;
    this.#parts = parts;
    this.#runtime = runtime;
    this.#ended = ended;
    this.#plan = planChecks(machine.spec.config);
    for (const check of this.#plan) {
      const known = checks.find(({ name }) => name === check.name);
      this.#statuses.set(check.name, known ?? initialStatus(check, parts.clock.now()));
    }
    const current = () => this.health;
    this.#record = new HealthRecord(runtime, vm.id, parts.clock, { isReady, checks }, current);
    ended.addEventListener("abort", () => this.#end(), { once: true });
    this.#begin(vm);
  }

  get health(): Health {
    const checks = [...this.#statuses.values()];
    return { isReady: isReadyBy(checks), checks };
  }

  #begin(vm: Vm): void {
    const ports = portsOfChecks(this.#plan);
    if (vm.watchPorts(ports, (states) => this.#onPorts(states))) this.#watched = new Set(ports);
    for (const check of this.#plan) {
      if (check.type === "http") void this.#runHttp(check);
      else if (!this.#watched.has(check.port)) this.#set(check, NOT_KNOWN);
      this.#afterGrace(check);
    }
    this.#changed();
  }

  #end(): void {
    this.#record.close();
    this.#portsChanged.abort();
  }

  #onPorts(states: readonly ListeningPort[]): void {
    if (this.#ended.aborted) return;
    for (const { port, state } of states) this.#ports.set(port, state);
    for (const check of this.#plan)
      if (check.type !== "http" && this.#watched.has(check.port))
        this.#set(check, this.#portResult(check.port));
    const before = this.#portsChanged;
    this.#portsChanged = new AbortController();
    before.abort();
  }

  #portResult(port: number): CheckResult {
    switch (this.#ports.get(port)) {
      case "open":
        return { isPassing: true, output: `the program listens on port ${port}` };
      case "local":
        return {
          isPassing: false,
          output: `the program listens on port ${port} of 127.0.0.1 only: make it listen on 0.0.0.0`,
        };
      default:
        return { isPassing: false, output: `nothing listens on port ${port}` };
    }
  }

  /** A check that still fails when its grace is over is critical. */
  #afterGrace(check: PlannedCheck): void {
    const leftMs = this.#graceLeftMs(check);
    if (leftMs <= 0) return;
    void sleep(leftMs, this.#ended, { ref: false }).then(() => {
      const status = this.#statuses.get(check.name);
      if (this.#ended.aborted || status?.status !== "warning") return;
      this.#set(check, { isPassing: false, output: status.output });
    });
  }

  #graceLeftMs({ graceMs }: PlannedCheck): number {
    const { runAtMs = 0 } = this.#runtime.machine;
    return Math.min(graceMs, runAtMs + graceMs - this.#parts.clock.now());
  }

  async #runHttp(check: PlannedCheck): Promise<void> {
    const { clock } = this.#parts;
    const firstUntilMs = clock.monotonicMs() + FIRST_PAUSES.forMs;
    let hasPassed = this.#statuses.get(check.name)?.status === "passing";
    let pauseMs = FIRST_PAUSES.fromMs;
    if (hasPassed) await sleep(Math.min(check.intervalMs, REST_MS), this.#ended, { ref: false });
    while (!this.#ended.aborted) {
      const { signal: portsChanged } = this.#portsChanged;
      if (this.#watched.has(check.port) && this.#ports.get(check.port) !== "open") {
        if (this.#ports.has(check.port)) this.#set(check, this.#portResult(check.port));
        await sleep(check.intervalMs, portsChanged, { ref: false });
        continue;
      }
      const startMs = clock.monotonicMs();
      let result = await this.#runOnce(check);
      if (!hasPassed)
        for (let left = this.#morePasses(check); left > 0 && result.isPassing; left--)
          result = await this.#runOnce(check);
      if (this.#ended.aborted) return;
      this.#set(check, result);
      hasPassed ||= result.isPassing;
      const endMs = clock.monotonicMs();
      const isFirst = !hasPassed && endMs - startMs < FIRST_PAUSES.whenWithinMs && endMs < firstUntilMs;
      const waitMs = isFirst ? pauseMs : Math.max(0, startMs + check.intervalMs - endMs);
      pauseMs = Math.min(pauseMs * 2, FIRST_PAUSES.toMs);
      await sleep(waitMs, portsChanged, { ref: false });
    }
  }

  /** Returns how many more times in a row a check must pass before its first success counts. */
  #morePasses({ isReadiness }: PlannedCheck): number {
    return isReadiness && isToBeSaved(this.#runtime.machine) ? PASSES_BEFORE_SAVE - 1 : 0;
  }

  async #runOnce(check: PlannedCheck): Promise<CheckResult> {
    const { machine } = this.#runtime;
    const port = hostPortOf(machine, check.port);
    if (!check.http || port === undefined)
      return {
        isPassing: false,
        output: `no TCP service has port ${check.port}: add one, without ports, so that the host reaches it`,
      };
    let release: (() => void) | undefined;
    try {
      release = await this.#parts.runs.acquire(machine.spec.org, this.#ended);
      return await runHttpCheck(check.http, port, check.timeoutMs, this.#ended);
    } catch (err) {
      return { isPassing: false, output: err instanceof Error ? err.message : String(err) };
    } finally {
      release?.();
    }
  }

  #set(check: PlannedCheck, { isPassing, output }: CheckResult): void {
    const before = this.#statuses.get(check.name);
    const failure = this.#graceLeftMs(check) > 0 ? "warning" : "critical";
    const status = isPassing ? "passing" : failure;
    const nowMs = this.#parts.clock.now();
    const isNew = before?.status !== status;
    const isOld = nowMs - (before?.updatedAtMs ?? 0) >= CONFIRM_INTERVAL_MS;
    const updatedAtMs = isNew || isOld ? nowMs : (before?.updatedAtMs ?? nowMs);
    const { name, isReadiness } = check;
    this.#statuses.set(name, { name, status, output: cut(output), updatedAtMs, isReadiness });
    if (isNew) this.#changed();
  }

  #changed(): void {
    if (this.#ended.aborted) return;
    this.#parts.proxies.setReady(this.#runtime.id, this.health.isReady);
    this.#record.update();
  }
}

function hostPortOf({ spec, ports }: Machine, guestPort: number): number | undefined {
  const index = spec.config.services.findIndex(
    ({ protocol, internalPort }) => protocol === "tcp" && internalPort === guestPort,
  );
  return index < 0 ? undefined : ports[index];
}

/** Cuts a text at a character. */
function cut(text: string): string {
  const bytes = Buffer.from(text.replaceAll(/\p{Cc}+/gu, " "));
  if (bytes.length <= MAX_OUTPUT_BYTES) return bytes.toString();
  return new TextDecoder().decode(bytes.subarray(0, MAX_OUTPUT_BYTES), { stream: true });
}
