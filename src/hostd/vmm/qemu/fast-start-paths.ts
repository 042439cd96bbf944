import { join } from "node:path";
import { describeError, logger } from "../../../lib/runtime/log.ts";
import type { PhaseLog } from "../phase-log.ts";
import type { PoolMetrics } from "../pool-metrics.ts";
import type { Shape, StartPath, VmSink, WarmDemand, Workload } from "../vmm.ts";
import type { Acquired } from "./cold-boot.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import { forwardPorts } from "./process/port-forwards.ts";
import { clear, clearWaiting } from "./process/remove-vm.ts";
import type { BootOptions } from "./process/start-qemu.ts";
import { handOver } from "./warm-pool/claim.ts";
import { WarmPool } from "./warm-pool/pool.ts";
import { shapeKey } from "./warm-pool/pool-policy.ts";
import { restore, saveTemplate } from "./warm-pool/template.ts";
import { templateKey } from "./warm-pool/template-key.ts";
import { TemplateStore } from "./warm-pool/template-store.ts";
import { warmUpDisk } from "./warm-pool/warm-up.ts";
import { makeWaiting, meet, poolId, type WaitingOptions, type WaitingVm } from "./warm-pool/warm-vm.ts";

/** What the fast ways to a running guest work with. */
export interface FastOptions extends BootOptions {
  /** Directory for what they share: templates, the disk of rehearsals. */
  readonly dir: string;
  readonly qemuVersion: string;
  /** The ways that may be taken. */
  readonly startPaths: readonly StartPath[];
  /** Memory for waiting VMs, and disk for templates. */
  readonly warmMemoryMb: number;
  readonly templateMb: number;
  readonly metrics: PoolMetrics;
}

/** What is wanted of a way. */
export interface LaunchRequest {
  readonly vmId: string;
  readonly shape: Shape;
  readonly workload: Workload;
  readonly sink: VmSink;
  /** See `Vmm.launch`. */
  readonly ready: Promise<void> | undefined;
}

const MAKE_TIMEOUT_MS = 120_000;
/** How long no template is tried after one could not be made. */
const TEMPLATE_RETRY_MS = 300_000;

/** The fast ways to a running guest, and what they need to have ready: VMs that wait, and templates to make VMs from. */
export class FastStartPaths {
  readonly #options: FastOptions;
  readonly #pool: WarmPool<WaitingVm>;
  readonly #templates: TemplateStore | undefined;
  readonly #failedAtMs = new Map<string, number>();
  /** By the id of the VM of the launch that they are for. */
  readonly #reserved = new Map<string, WaitingVm>();
  #waitingOptions: WaitingOptions | undefined;
  #opening: Promise<void> = Promise.resolve();
  #isClosed = false;
  #areImagesElsewhere = false;

  constructor(options: FastOptions) {
    this.#options = options;
    const { startPaths, metrics } = options;
    this.#pool = new WarmPool({
      memoryMb: startPaths.includes("warm") ? options.warmMemoryMb : 0,
      metrics,
      isUnprepared: (shape) => this.#lacksTemplate(shape),
      prepare: (shape, signal) => this.#prepare(shape, signal),
      make: (shape, signal) => this.#makeWaiting(shape, signal),
      discard: (waiting) => this.#discard(waiting),
    });
    // All VMs may write to a template's memory, where their own QEMU keeps them from it, so only where VMs are no boundary anyway.
    if (startPaths.includes("template") && options.acceleration === "emulation" && options.templateMb > 0) {
      this.#templates = new TemplateStore({
        dir: join(options.dir, "templates"),
        budgetMb: options.templateMb,
        key: (shape) => templateKey(options, shape),
        make: (shape, memory, signal) => this.#makeTemplate(shape, memory, signal),
        metrics,
      });
    }
  }

  /** Clears what an earlier hostd had waiting, and begins to keep VMs waiting. */
  open(demand: WarmDemand): void {
    this.#opening = this.#open(demand).catch((err: unknown) => {
      logger.error("no VMs will wait", { error: describeError(err) });
    });
  }

  /** How many VMs wait, of this shape or of all. */
  count(shape?: Shape): number {
    return this.#pool.count(shape);
  }

  /** Says that a start begins; the answer says that it is over. */
  begin(shape: Shape): () => void {
    return this.#pool.begin(shape);
  }

  /** Reserves a waiting VM for a launch. False: there is none of the shape. */
  reserve(vmId: string, shape: Shape): boolean {
    const waiting = this.#areImagesElsewhere ? undefined : this.#pool.take(shape);
    if (waiting) this.#reserved.set(vmId, waiting);
    return waiting !== undefined;
  }

  /** Ends the VM that is reserved for a launch that does not come, if there is one. */
  async giveUp(vmId: string): Promise<void> {
    const waiting = this.#reserved.get(vmId);
    this.#reserved.delete(vmId);
    if (waiting) await this.#discard(waiting);
  }

  /** Whether a launch could take the path now. */
  has(startPath: "warm" | "template", vmId: string, shape: Shape): boolean {
    if (startPath === "template") return this.#templates?.has(shape) ?? false;
    return this.#reserved.has(vmId) || (!this.#areImagesElsewhere && this.#pool.count(shape) > 0);
  }

  /**
   * A guest by way of a VM that waited; undefined when there is none. What is left under the machine's id when it fails is the
   * caller's to clear.
   */
  async warm(
    { vmId, shape, workload, sink }: LaunchRequest,
    phases: PhaseLog,
  ): Promise<Acquired | undefined> {
    if (!this.#reserved.has(vmId)) this.reserve(vmId, shape);
    const waiting = this.#reserved.get(vmId);
    this.#reserved.delete(vmId);
    if (!waiting) return undefined;
    const { vm, qmp } = waiting;
    const { rootfs, ports } = workload;
    const owner = { id: vmId, sink, notBeforeUs: phases.startUs, rootfs, ports };
    try {
      await handOver(waiting, owner, this.#options.dirs, phases);
      return { vm, qmp, startPath: "warm" };
    } catch (err) {
      await this.#discard(waiting);
      this.#noteElsewhere(err);
      throw err;
    }
  }

  /** The same by way of a template. */
  async template(
    { vmId, shape, workload, sink }: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<Acquired | undefined> {
    const template = await this.#templates?.find(shape);
    if (!template) return undefined;
    const options = this.#options;
    const plan = { id: vmId, shape, startPath: "template", rootfs: workload.rootfs } as const;
    const running = await restore(options, plan, template, signal, phases);
    const { qmp } = running;
    await Promise.all([forwardPorts(qmp, workload.ports), qmp.execute("cont")]);
    const agent = await meet(options, vmId, running);
    const { dirs, now } = options;
    const vm = new GuestVm(
      { id: vmId, startPath: "template", dirs, qmp, sink, now, notBeforeUs: phases.startUs },
      agent,
    );
    phases.mark("vmm.resume");
    return { vm, qmp, startPath: "template" };
  }

  /** Ends background work and the VMs that wait. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    await this.#pool.close();
    await Promise.all([...this.#reserved.keys()].map((vmId) => this.giveUp(vmId)));
  }

  async #discard({ id, vm }: WaitingVm): Promise<void> {
    await vm.detach();
    await clear(this.#options.dirs, id);
  }

  async #open(demand: WarmDemand): Promise<void> {
    const { dir, assets, dirs } = this.#options;
    await clearWaiting(dirs);
    this.#waitingOptions = { ...this.#options, warmUpDisk: warmUpDisk(dir, assets) };
    await this.#templates?.load();
    if (!this.#isClosed) this.#pool.open(demand);
  }

  async #makeWaiting(shape: Shape, signal: AbortSignal): Promise<WaitingVm> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(MAKE_TIMEOUT_MS)]);
    const template = await this.#templates?.find(shape);
    const id = poolId();
    try {
      return await makeWaiting(this.#ready(), id, shape, template, limit);
    } catch (err) {
      await clear(this.#options.dirs, id);
      // It may be what does not work; the next attempt makes another.
      if (template && !signal.aborted) await this.#templates?.drop(shape);
      throw err;
    }
  }

  #lacksTemplate(shape: Shape): boolean {
    if (!this.#templates || this.#templates.has(shape)) return false;
    const failedAtMs = this.#failedAtMs.get(shapeKey(shape));
    return failedAtMs === undefined || performance.now() - failedAtMs >= TEMPLATE_RETRY_MS;
  }

  async #prepare(shape: Shape, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(MAKE_TIMEOUT_MS)]);
    try {
      await this.#templates?.make(shape, limit);
    } catch (err) {
      signal.throwIfAborted();
      this.#failedAtMs.set(shapeKey(shape), performance.now());
      logger.error("a template could not be made", { shape: shapeKey(shape), error: describeError(err) });
    }
  }

  async #makeTemplate(shape: Shape, memory: string, signal: AbortSignal): Promise<Buffer> {
    const id = poolId();
    try {
      return await saveTemplate(this.#ready(), id, shape, memory, signal);
    } finally {
      await clear(this.#options.dirs, id);
    }
  }

  #ready(): WaitingOptions {
    if (!this.#waitingOptions) throw new Error("the pool is not open");
    return this.#waitingOptions;
  }

  /** Images on another file system than the VMs can never be placed; no waiting VM should be spent on trying. */
  #noteElsewhere(err: unknown): void {
    if (!(err instanceof Error && "code" in err && err.code === "EXDEV")) return;
    this.#areImagesElsewhere = true;
    logger.warn("images are on another file system than VMs, so no VM that waits can be used");
  }
}
