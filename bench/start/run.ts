import type { TraceSpan } from "../../src/cli/index.ts";
import type { Host } from "../../src/gen/windhover/admin/v1/hosts.ts";
import type { BuiltImage } from "../../test/support/oci/index.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { BenchFleet } from "../lib/fleet.ts";
import { describeVmm } from "../lib/machine.ts";
import type { Report } from "../lib/report.ts";
import { ClientTracing } from "../lib/tracing.ts";
import { BareCalls } from "../peers/bare-calls.ts";
import { type QemuOptions, tunedOptions } from "../peers/plain-qemu.ts";
import { measureBursts } from "./burst.ts";
import { privateMemory } from "./memory.ts";
import { PoolWatch, type StartPath } from "./pool.ts";
import { startAndStop } from "./sample.ts";
import { measureSequence, type Sequence } from "./sequence.ts";

/** A sequence of starts with the traces of those that count. */
export interface Measured {
  readonly sequence: Sequence;
  /** By trace id. */
  readonly traces: ReadonlyMap<string, readonly TraceSpan[]>;
}

/** Machines of the default shape. */
const MACHINE_MEMORY_MB = 256;
const POOL_READY_LIMIT_MS = 60_000;

/** One fleet, and what is measured with it. */
export class StartRun {
  readonly fleet: BenchFleet;
  readonly #host: Host;
  readonly #pool: PoolWatch;
  readonly #tracing: ClientTracing;
  readonly #report: Report;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  readonly #machines: string[] = [];

  private constructor(
    parts: { fleet: BenchFleet; host: Host; pool: PoolWatch; tracing: ClientTracing },
    report: Report,
    progress: Progress,
    signal: AbortSignal,
  ) {
    this.fleet = parts.fleet;
    this.#host = parts.host;
    this.#pool = parts.pool;
    this.#tracing = parts.tracing;
    this.#report = report;
    this.#progress = progress;
    this.#signal = signal;
  }

  /** Brings up one host with the given start paths only; undefined: with all. */
  static async open(
    image: BuiltImage,
    startPaths: string | undefined,
    report: Report,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<StartRun> {
    const environment = startPaths === undefined ? {} : { HOSTD_START_PATHS: startPaths };
    const name = startPaths === undefined ? "a fleet" : `a fleet for ${startPaths}`;
    const fleet = await progress.step(name, () =>
      BenchFleet.start({ hosts: 1, vmm: "real", environment, image }, signal),
    );
    try {
      const [host] = await fleet.clients.hosts();
      if (host === undefined) throw new Error("the fleet has no host");
      report.vmm = describeVmm(host);
      const pool = new PoolWatch(fleet.services.hosts[0]?.hostdMetrics ?? "");
      const tracing = await ClientTracing.start(fleet.services);
      return new StartRun({ fleet, host, pool, tracing }, report, progress, signal);
    } catch (cause) {
      await fleet.close();
      throw cause;
    }
  }

  get acceleration(): string {
    return this.#host.acceleration;
  }

  /** Sequential starts; adds their rows. */
  async sequence(startPath: StartPath, count: number): Promise<Measured> {
    const sequence = await this.#progress.step(`${startPath} starts`, (say) =>
      measureSequence(this.fleet, this.#pool, startPath, count, say, this.#signal),
    );
    const { samples, others, failures } = sequence;
    const report = this.#report;
    const why =
      others.size > 0
        ? `the host was given time to be ready for it, and starts went ${counts(others)}`
        : "no start came to its end";
    report.add(
      startPath,
      "ms",
      samples.map(({ ms }) => ms),
      why,
    );
    if (samples.length > 0) {
      const lines = samples.flatMap(({ firstLineMs }) => firstLineMs ?? []);
      report.add(`${startPath}_first_line`, "ms", lines, "the program's line was not in the logs");
      if (others.size > 0)
        report.note(`${startPath}: besides these, starts took another path: ${counts(others)}`);
    }
    if (failures.length > 0) report.note(`${startPath}: ${failures.length} starts failed: ${failures[0]}`);
    const ids = samples.map(({ traceId }) => traceId);
    const traces = await this.#progress.step("traces", () => this.#tracing.read(ids, this.#signal));
    return { sequence, traces };
  }

  /** Two calls of bare grpc-js at the very moments at which a warm start would be called for; then it is, so that the host goes on as it does. */
  async bareCalls(count: number): Promise<void> {
    const ms = await this.#progress.step("bare calls", async (say) => {
      const calls = await BareCalls.start(this.#signal);
      try {
        const { id } = await this.fleet.create();
        const samples: number[] = [];
        for (let i = 0; i < count; i++) {
          say(`${i} of ${count}`);
          await this.#pool.ready("warm", POOL_READY_LIMIT_MS, this.#signal);
          samples.push(await calls.call());
          await startAndStop(this.fleet, id, this.#signal);
        }
        return samples;
      } finally {
        await calls.close();
      }
    });
    this.#report.add("bare_calls", "ms", ms);
  }

  /** What VMs that wait cost, once the pool is at rest. While no machine runs: then all VMs are waiting ones. */
  async waitingMemory(): Promise<void> {
    const isFull = await this.#pool.ready("warm", POOL_READY_LIMIT_MS, this.#signal);
    const memory = isFull ? privateMemory(this.fleet.services.folder) : [];
    this.#report.add("waiting_vm_memory", "MB", memory, "no VM waited");
  }

  /** Bursts of one size; adds their rows. Returns how many starts failed. */
  async bursts(size: number, count: number, hasPool: boolean): Promise<number> {
    const name = `burst_${size}`;
    const room = Number(this.#host.capacity?.memoryMb ?? 0n);
    if (size * MACHINE_MEMORY_MB > room) {
      this.#report.add(name, "ms", [], `${size} machines need more memory than the host's ${room} MB`);
      return 0;
    }
    const bursts = await this.#progress.step(`bursts of ${size}`, async (say) => {
      while (this.#machines.length < size) {
        this.#signal.throwIfAborted();
        say(`machine ${this.#machines.length + 1}`);
        this.#machines.push((await this.fleet.create()).id);
      }
      this.#pool.forget();
      say(`${count} times`);
      const ids = this.#machines.slice(0, size);
      return measureBursts(this.fleet, this.#pool, ids, count, hasPool, this.#signal);
    });
    const failed = bursts.failed.reduce((sum, each) => sum + each, 0);
    this.#report.add(name, "ms", bursts.ms, "starts failed in every burst");
    this.#report.add(`${name}_failed`, "starts", bursts.failed);
    this.#report.note(`${name}: starts went ${counts(bursts.startPaths)}`);
    if (failed > 0) {
      this.#report.note(`${name}: ${failed} of ${size * count} starts FAILED: ${bursts.reasons.join("; ")}`);
    }
    return failed;
  }

  /** Starts a machine and looks at how its QEMU was started. Undefined when there is none to see. */
  async optionsOfRunning(): Promise<QemuOptions | undefined> {
    const { id } = await this.fleet.create();
    await this.fleet.clients.start(id);
    try {
      return tunedOptions(this.fleet.services.folder);
    } catch (cause) {
      this.#report.note(`plain_qemu_cold: ${cause instanceof Error ? cause.message : cause}`);
      return undefined;
    } finally {
      await this.fleet.clients.destroy(id, true);
    }
  }

  async close(): Promise<void> {
    await this.#tracing.stop();
    await this.fleet.close();
  }
}

function counts(startPaths: ReadonlyMap<string, number>): string {
  return [...startPaths].map(([startPath, count]) => `${startPath} ${count}`).join(", ");
}
