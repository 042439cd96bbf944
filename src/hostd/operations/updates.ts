import { Fault } from "../../lib/faults/fault.ts";
import type { Credentials } from "../../lib/oci/auth/credentials.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { ImageCacheClient } from "../images/imagecache-client.ts";
import type { Ids } from "../machines/ids.ts";
import { guardLease } from "../machines/lease.ts";
import type { ImageRef, LocalImage, Machine } from "../machines/machine.ts";
import type { MachineConfig } from "../machines/machine-config.ts";
import { type UpdateOptions, versionMismatch } from "../machines/update.ts";
import type { Driver } from "./driver.ts";
import type { ImagePins } from "./image-pins.ts";

/** A new version of a machine, as a call asks for it. */
export interface UpdateRequest extends UpdateOptions {
  readonly config: MachineConfig;
  readonly imageRef: ImageRef;
  readonly credentials: Credentials | undefined;
  /** Version that the machine must have; empty: any. */
  readonly currentVersion: string;
  readonly nonce: string;
  /** How long a process that has started is watched, when there is no rollback. */
  readonly watchMs: number;
}

export interface UpdatesParts {
  readonly images: Pick<ImageCacheClient, "ensure">;
  readonly ids: Pick<Ids, "event">;
  readonly clock: Pick<Clock, "now">;
}

/** Updates machines. An image is pulled, and pinned, before anything of the machine is touched, and before other calls have to wait. */
export class Updates {
  readonly #parts: UpdatesParts;
  readonly #pins: ImagePins;

  constructor(parts: UpdatesParts, pins: ImagePins) {
    this.#parts = parts;
    this.#pins = pins;
  }

  /**
   * Replaces the version of a machine. `signal` ends only the pull.
   *
   * @throws Fault LEASE_HELD, VERSION_MISMATCH, AUTO_DESTROY, INVALID_STATE; as the image cache; as {@link UpdateOperation}
   */
  async update(driver: Driver, request: UpdateRequest, signal: AbortSignal): Promise<Machine> {
    const { config, imageRef, launch, skipLaunch, rollbackWithinMs, watchMs } = request;
    const check = (machine: Machine) => this.#check(machine, request);
    check(driver.machine);
    driver.refuseUpdate();
    const wasStopped = driver.stops.watch();
    const { id, spec } = driver.machine;
    const release = this.#pins.hold({ digest: imageRef.digest, owner: id, org: spec.org });
    try {
      const image = await this.#image(driver, request, signal);
      const version = { instanceId: this.#parts.ids.event(this.#parts.clock.now()), config, imageRef, image };
      const update = { version, check, wasStopped, launch, skipLaunch, rollbackWithinMs };
      return await driver.update(update, watchMs);
    } finally {
      release();
      await this.#pins.unpinUnused(id, [imageRef.digest]);
    }
  }

  #check(machine: Machine, { currentVersion, nonce }: UpdateRequest): void {
    guardLease(machine, nonce, this.#parts.clock.now());
    const { id, spec } = machine;
    if (currentVersion !== "" && currentVersion !== spec.instanceId)
      throw versionMismatch("ABORTED", machine, currentVersion);
    if (!spec.config.autoDestroy) return;
    const message = `machine ${id} destroys itself when its process has ended, and cannot be updated`;
    throw new Fault("FAILED_PRECONDITION", "AUTO_DESTROY", message, { machine_id: id });
  }

  async #image(
    driver: Driver,
    { imageRef, credentials }: UpdateRequest,
    signal: AbortSignal,
  ): Promise<LocalImage> {
    const { id, spec } = driver.machine;
    if (spec.imageRef.digest === imageRef.digest && spec.image) return spec.image;
    const pull = (until: AbortSignal) =>
      this.#parts.images.ensure(imageRef, { owner: id, org: spec.org, credentials }, until);
    for await (const step of driver.pull(pull, signal)) if (step.kind === "ready") return step.image;
    throw new Error(`the image cache has ended the pull of ${imageRef.digest} without the image`);
  }
}
