import { describeError, logger } from "../../../lib/runtime/log.ts";
import { PhaseLog } from "../phase-log.ts";
import { LaunchError, type LaunchRequest, type StartPath } from "../vmm.ts";
import { bootLimit } from "./boot-limit.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import { asLaunchError } from "./guest-protocol/start-failure.ts";
import { endProcesses } from "./process/remove-vm.ts";
import { runWorkload } from "./run-workload.ts";
import { resumeVm } from "./saved/resume-vm.ts";
import type { SavedVms } from "./saved/saved-vms.ts";
import { acquireVm } from "./start-paths.ts";
import type { WarmVms, WarmVmsOptions } from "./warm-pool/warm-vms.ts";

export interface LauncherOptions extends WarmVmsOptions {
  readonly bootTimeoutMs: number;
}

/** How long one start path may take before the next one is tried. */
const START_PATH_TIMEOUT_MS = 15_000;
/** With these, every start path would fail. */
const FINAL_REASONS: ReadonlySet<string> = new Set(["port_unavailable", "bad_port", "not_stored"]);

/** Why a start path has no VM. */
const UNAVAILABLE: Readonly<Record<StartPath, string>> = {
  ...{ resume: "not_saved", snapshot: "no_snapshot", warm: "pool_empty", template: "no_template" },
  cold: "no_cold",
};

/** Chooses the start path of each launch. See docs/adr/0013-warm-vms-and-templates.md. */
export class Launcher {
  readonly #options: LauncherOptions;
  readonly #warmVms: WarmVms;
  readonly #saved: SavedVms;

  constructor(options: LauncherOptions, warmVms: WarmVms, saved: SavedVms) {
    this.#options = options;
    this.#warmVms = warmVms;
    this.#saved = saved;
  }

  /** Tries the start paths until one works. Leaves nothing behind when none does. */
  async launch(request: LaunchRequest, signal: AbortSignal): Promise<GuestVm> {
    const { startPaths, dirs } = this.#options;
    const { vmId, shape } = request;
    const phases = new PhaseLog();
    const ended = this.#warmVms.startBegins(shape);
    /** Why faster start paths were not taken. */
    const missed: string[] = [];
    try {
      if (await dirs.has(vmId)) throw alreadyExists(vmId);
      const resumed = await this.#tryResume(request, signal, phases);
      if (resumed instanceof GuestVm) return resumed;
      if (resumed !== undefined) missed.push(`${request.resumeFrom?.isKept ? "snapshot" : "resume"}_failed`);
      for (const startPath of startPaths) {
        const vm = this.#isAvailable(startPath, request)
          ? await this.#tryPath(startPath, request, signal, phases)
          : UNAVAILABLE[startPath];
        if (vm instanceof GuestVm) {
          vm.resumeFailure = resumed;
          if (missed.length > 0) vm.notFaster = missed.join();
          return vm;
        }
        missed.push(vm);
      }
      const message = `no VM is ready, and only start paths ${startPaths.join()} are allowed`;
      throw new LaunchError("vmm", "no_start_path", message);
    } catch (err) {
      if (err instanceof LaunchError) err.phases = phases.all();
      throw err;
    } finally {
      ended();
    }
  }

  /** Goes on with the saved VM of a request. Returns why it could not; undefined: there is none. */
  async #tryResume(
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<GuestVm | string | undefined> {
    const { vmId, resumeFrom } = request;
    const { bootTimeoutMs, dirs } = this.#options;
    if (!resumeFrom) return undefined;
    using limit = bootLimit(Math.min(START_PATH_TIMEOUT_MS, bootTimeoutMs), signal);
    try {
      return await resumeVm(this.#options, this.#saved, request, resumeFrom, limit.signal, phases);
    } catch (err) {
      const failure = asLaunchError(err, dirs.readStderr(vmId));
      await this.#discard(vmId, undefined);
      phases.fail("vmm.resume_failed", failure.reason);
      if (signal.aborted || FINAL_REASONS.has(failure.reason)) throw failure;
      logger.warn("a saved VM could not go on", { name: resumeFrom.name, error: describeError(failure) });
      return failure.message;
    }
  }

  /** Returns why there is no VM when the path has none, or has failed and another may work. */
  async #tryPath(
    startPath: StartPath,
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<GuestVm | string> {
    const { startPaths, bootTimeoutMs, dirs } = this.#options;
    const { vmId } = request;
    const isLast = startPaths.at(-1) === startPath;
    using limit = bootLimit(isLast ? bootTimeoutMs : Math.min(START_PATH_TIMEOUT_MS, bootTimeoutMs), signal);
    let vm: GuestVm | undefined;
    try {
      vm = await acquireVm(startPath, this.#options, this.#warmVms, request, limit.signal, phases);
      if (!vm) return UNAVAILABLE[startPath];
      await runWorkload(vm, request, limit.signal, phases);
      return vm;
    } catch (err) {
      const failure = asLaunchError(err, dirs.readStderr(vmId));
      await this.#discard(vmId, vm);
      phases.fail(`vmm.${startPath}_failed`, failure.reason);
      const isFinal = failure.kind === "exec" || FINAL_REASONS.has(failure.reason);
      if (isLast || isFinal || signal.aborted) throw failure;
      logger.warn("a start path failed, trying the next", { startPath, error: describeError(failure) });
      return `${startPath}_failed`;
    }
  }

  /** Removes what a failed start left. What cannot be removed is left to the sweep: the start's own failure is its answer. */
  async #discard(vmId: string, vm: GuestVm | undefined): Promise<void> {
    const { dirs } = this.#options;
    try {
      await endProcesses(dirs, vmId);
      await vm?.detach();
      await dirs.remove(vmId);
    } catch (err) {
      logger.warn("a VM that failed to start could not be removed", { vmId, error: describeError(err) });
    }
  }

  #isAvailable(startPath: StartPath, { vmId, shape }: LaunchRequest): boolean {
    if (startPath === "cold") return true;
    if (startPath === "template") return this.#warmVms.templates?.has(shape) ?? false;
    const has = this.#warmVms.has(vmId, shape);
    this.#options.metrics[has ? "hit" : "miss"](shape);
    return has;
  }
}

export function alreadyExists(vmId: string): LaunchError {
  return new LaunchError("vmm", "exists", `VM ${vmId} exists`);
}
