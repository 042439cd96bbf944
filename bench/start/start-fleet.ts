import type { Run } from "../lib/benchmark.ts";
import { BenchFleet } from "../lib/fleet.ts";
import type { Spans } from "../lib/measure/breakdown.ts";
import { describePaths } from "../lib/measure/by-path.ts";
import { PoolWatch, type StartPath } from "../lib/measure/pool.ts";
import { readTraces } from "../lib/measure/traces.ts";
import { privateMemory } from "../lib/measure/vms.ts";
import { BareCalls } from "../peers/bare-calls.ts";
import { type QemuOptions, tunedOptions } from "../peers/plain-qemu.ts";
import { measureBursts } from "./burst.ts";
import { startAndStop } from "./sample.ts";
import { measureSequence, type Sequence } from "./sequence.ts";

/** A sequence of starts with their traces, by id. */
export interface Measured extends Sequence {
  readonly traces: ReadonlyMap<string, Spans>;
}

/** Machines have the default shape. */
const MACHINE_MEMORY_MB = 256;
const POOL_READY_LIMIT_MS = 60_000;

/** A fleet with one host, and what is measured with it. */
export class StartFleet implements AsyncDisposable {
  readonly #fleet: BenchFleet;
  readonly #run: Run;
  readonly #pool: PoolWatch;
  readonly #machines: string[] = [];

  private constructor(fleet: BenchFleet, run: Run) {
    this.#fleet = fleet;
    this.#run = run;
    this.#pool = new PoolWatch(fleet.services.hosts[0]?.hostdMetrics ?? "");
  }

  /** Starts a fleet whose host has only these start paths; without any, all. */
  static async open(run: Run, startPaths?: string): Promise<StartFleet> {
    const environment = { HOSTD_START_PATHS: startPaths };
    const options = { hosts: 1, vmm: "real", environment } as const;
    return new StartFleet(await BenchFleet.start(options, run.folder, true, run.signal), run);
  }

  get services(): BenchFleet["services"] {
    return this.#fleet.services;
  }

  /** Starts a machine again and again by one path; adds the rows. */
  async sequence(startPath: StartPath, count: number): Promise<Measured> {
    const { report, progress, signal } = this.#run;
    report.vmm = await this.#fleet.vmm();
    const sequence = await progress.step(`${startPath} starts`, (say) =>
      measureSequence(this.#fleet, this.#pool, startPath, count, say, signal),
    );
    const { samples, others, failures } = sequence;
    const other = `starts took another path: ${describePaths(others)}`;
    const times = samples.map(({ ms }) => ms);
    report.add(startPath, "ms", times, others.size > 0 ? other : "no start succeeded");
    if (samples.length > 0) {
      const lines = samples.flatMap(({ firstLineMs }) => firstLineMs ?? []);
      report.add(`${startPath}_first_line`, "ms", lines, "the program's line was not in the logs");
      if (others.size > 0) report.note(`${startPath}: besides these, ${other}`);
    }
    if (failures.length > 0) report.fail(`${startPath}: ${failures.length} starts failed: ${failures[0]}`);
    const ids = samples.map(({ traceId }) => traceId);
    return {
      ...sequence,
      traces: await progress.step("traces", () => readTraces(this.services, ids, signal)),
    };
  }

  /** Measures bare calls, each at a moment at which the host is ready for a warm start. */
  async bareCalls(count: number): Promise<void> {
    const { report, signal } = this.#run;
    await using calls = await BareCalls.start(signal);
    const { id } = await this.#fleet.create();
    const once = async () => {
      await this.#pool.ready("warm", POOL_READY_LIMIT_MS, signal);
      const ms = await calls.call();
      // So that the host does what it does between starts.
      await startAndStop(this.#fleet, id, signal);
      return ms;
    };
    report.add("bare_calls", "ms", await this.#run.repeat("bare calls", count, once, 0));
  }

  /** Measures the memory of VMs that wait. No machine may run. */
  async waitingMemory(): Promise<void> {
    const isFull = await this.#pool.ready("warm", POOL_READY_LIMIT_MS, this.#run.signal);
    const memory = isFull ? privateMemory(this.services.layout) : [];
    this.#run.report.add("waiting_vm_memory", "MB", memory, "no VM waited");
  }

  /** Starts `size` machines at once, `count` times; adds the rows. */
  async bursts(size: number, count: number, hasPool: boolean): Promise<void> {
    const { report, progress, signal } = this.#run;
    const name = `burst_${size}`;
    const [host] = await this.#fleet.clients.hosts();
    const memoryMb = Number(host?.capacity?.memoryMb ?? 0n);
    if (size * MACHINE_MEMORY_MB > memoryMb) {
      const why = `${size} machines need more memory than the host's ${memoryMb} MB`;
      return report.add(name, "ms", [], why);
    }
    const bursts = await progress.step(`bursts of ${size}`, async (say) => {
      while (this.#machines.length < size) {
        signal.throwIfAborted();
        say(`machine ${this.#machines.length + 1}`);
        this.#machines.push((await this.#fleet.create()).id);
      }
      this.#pool.forget();
      say(`${count} times`);
      const ids = this.#machines.slice(0, size);
      return measureBursts(this.#fleet, this.#pool, ids, count, hasPool, signal);
    });
    const failed = bursts.failed.reduce((sum, each) => sum + each, 0);
    report.add(name, "ms", bursts.ms, "starts failed in every burst");
    report.add(`${name}_failed`, "starts", bursts.failed);
    report.note(`${name}: starts by path: ${describePaths(bursts.startPaths)}`);
    if (failed > 0)
      report.fail(`${name}: ${failed} of ${size * count} starts FAILED: ${bursts.reasons.join("; ")}`);
  }

  /** Reads the options of a machine's QEMU. Undefined when there is none to see. */
  async optionsOfRunning(): Promise<QemuOptions | undefined> {
    const { clients } = this.#fleet;
    const { id } = await this.#fleet.create();
    await clients.start(id);
    try {
      return tunedOptions(this.services.layout);
    } catch (cause) {
      this.#run.report.note(`plain_qemu_cold: ${cause instanceof Error ? cause.message : cause}`);
      return undefined;
    } finally {
      await clients.destroy(id, true);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#fleet[Symbol.asyncDispose]();
  }
}
