import { join } from "node:path";
import { attribute, withRemoteParent, withSpan } from "../../../../lib/otel/tracing.ts";
import { backoffMs } from "../../../../lib/runtime/backoff.ts";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import type { PhaseLog } from "../../phase-log.ts";
import type { PoolMetrics } from "../../pool-metrics.ts";
import type { Shape, StartPath, WarmDemand } from "../../vmm.ts";
import type { GuestVm } from "../guest-channel/guest-vm.ts";
import { removeVm, removeWarmVms } from "../process/remove-vm.ts";
import type { QemuHost } from "../process/start-qemu.ts";
import { newPoolId } from "../process/vm-dirs.ts";
import { type Claim, claimWarmVm } from "./claim.ts";
import { WarmPool } from "./pool.ts";
import { shapeKey } from "./pool-policy.ts";
import { saveTemplate } from "./template.ts";
import { templateKey } from "./template-key.ts";
import { TemplateStore } from "./template-store.ts";
import { warmUpDisk } from "./warm-up.ts";
import { makeWarmVm, type WarmVm } from "./warm-vm.ts";

export interface WarmVmsOptions extends QemuHost {
  /** The host's data directory, for templates and the root disk of warm-ups. */
  readonly dir: string;
  readonly startPaths: readonly StartPath[];
  /** Memory for warm VMs, and disk for templates. */
  readonly warmMemoryMb: number;
  readonly templateMb: number;
  readonly metrics: PoolMetrics;
  readonly hostName?: string;
}

const MAKE_TIMEOUT_MS = 120_000;
/** Pause after a template could not be made. */
const TEMPLATE_RETRY = { firstMs: 10_000, maxMs: 300_000 };

export class WarmVms {
  readonly templates: TemplateStore | undefined;
  readonly #options: WarmVmsOptions;
  readonly #pool: WarmPool<WarmVm>;
  /** By shape. */
  readonly #templateFailures = new Map<string, { readonly count: number; readonly retryAtMs: number }>();
  /** By the id of the launch. */
  readonly #reserved = new Map<string, WarmVm>();
  #opening: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Whether images cannot be linked into VMs' folders, as they are on another file system. */
  #areImagesElsewhere = false;

  constructor(options: WarmVmsOptions) {
    this.#options = options;
    const { startPaths, metrics } = options;
    this.#pool = new WarmPool({
      memoryMb: startPaths.includes("warm") ? options.warmMemoryMb : 0,
      metrics,
      needsPreparation: (shape) => this.#lacksTemplate(shape),
      prepare: (shape, signal) => this.#makeTemplate(shape, signal),
      make: (shape, signal) => this.#makeWarmVm(shape, signal),
      discard: (warm) => this.#discard(warm),
    });
    // All VMs may write to a template's memory file, so only where VMs are no security boundary.
    if (startPaths.includes("template") && options.acceleration === "emulation" && options.templateMb > 0) {
      this.templates = new TemplateStore({
        dir: join(options.dir, "templates"),
        budgetMb: options.templateMb,
        key: (shape) => templateKey(options, shape),
        make: (shape, memory, signal) => this.#saveTemplate(shape, memory, signal),
        metrics,
      });
    }
  }

  /** Removes the warm VMs of an earlier hostd and begins to make some. */
  open(demand: WarmDemand): void {
    this.#opening = this.#open(demand).catch((err: unknown) => {
      logger.error("there will be no warm VMs", { error: describeError(err) });
    });
  }

  count(shape?: Shape): number {
    return this.#pool.count(shape);
  }

  startBegins(shape: Shape): () => void {
    return this.#pool.startBegins(shape);
  }

  /** Reserves a warm VM for a launch. False: there is none of the shape. */
  reserve(vmId: string, shape: Shape): boolean {
    const warm = this.#areImagesElsewhere ? undefined : this.#pool.take(shape);
    if (warm) this.#reserved.set(vmId, warm);
    return warm !== undefined;
  }

  /** Ends the VM that is reserved for a launch, if there is one. */
  async release(vmId: string): Promise<void> {
    const warm = this.#reserved.get(vmId);
    this.#reserved.delete(vmId);
    if (warm) await this.#discard(warm);
  }

  /** Whether `claim` would find a VM. */
  has(vmId: string, shape: Shape): boolean {
    return this.#reserved.has(vmId) || (!this.#areImagesElsewhere && this.#pool.count(shape) > 0);
  }

  /** Gives a warm VM to a launch, if there is one. After a failure the caller removes it. */
  async claim(claim: Claim, shape: Shape, phases: PhaseLog): Promise<GuestVm | undefined> {
    if (!this.#reserved.has(claim.id)) this.reserve(claim.id, shape);
    const warm = this.#reserved.get(claim.id);
    this.#reserved.delete(claim.id);
    if (!warm) return undefined;
    try {
      const refillMs = this.#pool.nextRefillMs(shape);
      const attributes = refillMs === undefined ? {} : { [attribute.refillMs]: refillMs };
      await claimWarmVm(warm, { ...claim, attributes }, this.#options.dirs, phases);
      return warm.vm;
    } catch (err) {
      await this.#discard(warm);
      if (err instanceof Error && "code" in err && err.code === "EXDEV") {
        this.#areImagesElsewhere = true;
        logger.warn("images are on another file system than VMs, so no warm VM can be used");
      }
      throw err;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    await this.#pool.close();
    await Promise.all([...this.#reserved.keys()].map((vmId) => this.release(vmId)));
  }

  async #open(demand: WarmDemand): Promise<void> {
    await removeWarmVms(this.#options.dirs);
    await this.templates?.load();
    if (!this.#isClosed) this.#pool.open(demand);
  }

  async #discard({ vm }: WarmVm): Promise<void> {
    await vm.detach();
    await removeVm(this.#options.dirs, vm.id);
  }

  async #makeWarmVm(shape: Shape, signal: AbortSignal): Promise<WarmVm> {
    const template = await this.templates?.find(shape);
    const plan = this.#newPlan(shape);
    try {
      return await makeWarmVm(this.#options, plan, template, withTimeout(signal));
    } catch (err) {
      await removeVm(this.#options.dirs, plan.id);
      // The template may be the cause; the next attempt makes another.
      if (template && !signal.aborted) await this.templates?.remove(shape);
      throw err;
    }
  }

  #lacksTemplate(shape: Shape): boolean {
    if (!this.templates || this.templates.has(shape)) return false;
    return performance.now() >= (this.#templateFailures.get(shapeKey(shape))?.retryAtMs ?? 0);
  }

  async #makeTemplate(shape: Shape, signal: AbortSignal): Promise<void> {
    const attributes = {
      "windhover.template.shape": shapeKey(shape),
      [attribute.hostName]: this.#options.hostName ?? "",
    };
    const make = async () => this.templates?.make(shape, withTimeout(signal));
    try {
      // A trace of its own: nobody has asked for it.
      await withRemoteParent("", () => withSpan("hostd.template", attributes, make));
      this.#templateFailures.delete(shapeKey(shape));
    } catch (err) {
      signal.throwIfAborted();
      const failures = this.#templateFailures.get(shapeKey(shape))?.count ?? 0;
      const retryMs = backoffMs(TEMPLATE_RETRY, failures);
      const failure = { count: failures + 1, retryAtMs: performance.now() + retryMs };
      this.#templateFailures.set(shapeKey(shape), failure);
      logger.error("a template could not be made", {
        ...{ shape: shapeKey(shape), retry_ms: retryMs, error: describeError(err) },
      });
    }
  }

  async #saveTemplate(shape: Shape, memory: string, signal: AbortSignal): Promise<Buffer> {
    const plan = this.#newPlan(shape);
    try {
      return await saveTemplate(this.#options, plan, memory, signal);
    } finally {
      await removeVm(this.#options.dirs, plan.id);
    }
  }

  #newPlan(shape: Shape): { readonly id: string; readonly shape: Shape; readonly rootfs: string } {
    const { dir, assets } = this.#options;
    return { id: newPoolId(), shape, rootfs: warmUpDisk(dir, assets) };
  }
}

function withTimeout(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(MAKE_TIMEOUT_MS)]);
}
