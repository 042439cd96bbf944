import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import { type Machine, SETTLED_STATES } from "../machines/machine.ts";
import type { HostMachines } from "../machines/machines.ts";
import type { UpdateStore } from "./update-store.ts";

const READ_TIMEOUT_MS = 5_000;
const RETRY: Backoff = { firstMs: 500, maxMs: 15_000 };
/** Reads of one machine. After the last one, its reservation is left to expire. */
const ATTEMPTS = 24;

/** An update, and the host that was asked for it. */
export interface AskedUpdate {
  readonly host: HostAddress;
  readonly machineId: MachineId;
  readonly org: string;
  readonly owner: string;
}

/**
 * Reads machines whose update got no answer, so that the update reserves no memory for longer than
 * needed. Of several updates of a machine only the last one is settled.
 */
export class UnansweredUpdates {
  readonly #hosts: Pick<HostMachines, "getMachine">;
  readonly #store: Pick<UpdateStore, "finish">;
  readonly #last = new Map<MachineId, string>();
  readonly #closing = new AbortController();

  constructor(hosts: Pick<HostMachines, "getMachine">, store: Pick<UpdateStore, "finish">) {
    this.#hosts = hosts;
    this.#store = store;
  }

  /** Reads the machine every 0.5 to 15 s until it is in a settled state. Never throws. */
  add(update: AskedUpdate): void {
    const { machineId, owner } = update;
    this.#last.set(machineId, owner);
    void this.#settle(update)
      .catch((error: unknown) => logger.warn("an update was not settled", { machine_id: machineId, error }))
      .finally(() => {
        if (this.#last.get(machineId) === owner) this.#last.delete(machineId);
      });
  }

  /** Reads a machine from its host. Returns undefined when that fails. */
  async read({ host, machineId, org }: AskedUpdate): Promise<Machine | undefined> {
    const limits = { remainingMs: READ_TIMEOUT_MS };
    return await this.#hosts.getMachine(host, { machineId, org }, limits).catch(() => undefined);
  }

  close(): void {
    this.#closing.abort();
  }

  async #settle(update: AskedUpdate): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await sleep(backoffMs(RETRY, attempt), signal, { ref: false });
      if (signal.aborted || this.#last.get(update.machineId) !== update.owner) return;
      const machine = await this.read(update);
      if (machine && SETTLED_STATES.has(machine.state)) return await this.#store.finish(update, machine);
    }
  }
}
