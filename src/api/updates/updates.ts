import { randomUUID } from "node:crypto";
import { Fault, hasReason, isServerFault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CredentialSource, ImageResolver } from "../creates/saga/create-tools.ts";
import { resolveImage } from "../creates/saga/resolve-image.ts";
import type { HostUpdates, UpdateRequest } from "../machines/changes/update.ts";
import { atHost, type HostLookup } from "../machines/host/find-host.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { ImageRef, Machine, MachineConfig } from "../machines/machine.ts";
import type { HostMachines } from "../machines/machines.ts";
import type { Caller } from "../requests/caller.ts";
import type { Shares } from "../shares/shares.ts";
import { Turns } from "../shares/turns/turns.ts";
import { type AskedUpdate, UnansweredUpdates } from "./unanswered-updates.ts";
import type { UpdateStore } from "./update-store.ts";

export interface UpdateParts {
  readonly where: HostLookup;
  readonly hosts: HostUpdates & Pick<HostMachines, "getMachine">;
  readonly images: ImageResolver;
  readonly credentials: CredentialSource;
  readonly store: UpdateStore;
  readonly shares: Pick<Shares, "charge">;
}

/** Tokens of a create for an update whose image cannot be resolved: the look-up has cost the registry. */
const FAILED_UPDATE_TOKENS = 10;
/** Reservations of an organisation at a time: each locks the row of the organisation. */
const RESERVATIONS_AT_ONCE = 2;

/** Updates of machines: image and quota are decided here, everything else by the machine's host. */
export class Updates {
  readonly #parts: UpdateParts;
  readonly #reservations = new Turns(RESERVATIONS_AT_ONCE);
  readonly #unanswered: UnansweredUpdates;

  constructor(parts: UpdateParts) {
    this.#parts = parts;
    this.#unanswered = new UnansweredUpdates(parts.hosts, parts.store);
  }

  close(): void {
    this.#unanswered.close();
  }

  /**
   * Replaces a machine's configuration.
   *
   * @throws Fault of the image, of the quota and of the host
   */
  update(id: MachineId, request: UpdateRequest, caller: Caller): Promise<Machine> {
    const { where, hosts } = this.#parts;
    const { org } = caller;
    const target = { machineId: id, org };
    return atHost(where, id, org, "update", async (host) => {
      // A machine or host that is missing fails before the image is resolved and memory is reserved.
      await hosts.getMachine(host, target, caller);
      const image = await this.#resolve(request.config, caller);
      const owner = randomUUID();
      await this.#reservations.run(org, async () => {
        caller.signal?.throwIfAborted();
        const size = { memoryMb: request.config.guest.memoryMb, imageDigest: image.digest };
        await this.#parts.store.reserve({ machineId: id, org, owner, ...size });
      });
      const { registry, repository } = image;
      const credentials = await this.#parts.credentials.find(org, registry, repository);
      const asked = { host, machineId: id, org, owner };
      try {
        const order = { ...target, ...request, image, credentials };
        const machine = await hosts.updateMachine(host, order, caller);
        await this.#finish(asked, machine);
        return machine;
      } catch (err) {
        const hasAnswered = !caller.signal?.aborted && !hasReason(err, "HOST_UNREACHABLE");
        const machine = hasAnswered ? await this.#unanswered.read(asked) : undefined;
        if (machine) await this.#finish(asked, machine);
        else this.#unanswered.add(asked);
        throw err;
      }
    });
  }

  async #resolve(config: MachineConfig, { org, signal }: Caller): Promise<ImageRef> {
    try {
      return await resolveImage(this.#parts, config, org, signal ?? NEVER);
    } catch (err) {
      const isTheirs = err instanceof Fault && !isServerFault(err.code) && err.code !== "CANCELLED";
      if (isTheirs) this.#parts.shares.charge(org, "create", FAILED_UPDATE_TOKENS - 1);
      throw err;
    }
  }

  /** Stores the machine. Never throws: its host reports it too, and the reservation expires. */
  async #finish({ machineId, owner }: AskedUpdate, machine: Machine): Promise<void> {
    try {
      await this.#parts.store.finish({ machineId, owner }, machine);
    } catch (error) {
      logger.warn("an updated machine was not stored", { machine_id: machineId, error });
    }
  }
}

const NEVER = new AbortController().signal;
