import type { MachineEvent, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { WatchMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { openStream } from "../../../../src/lib/grpc/client.ts";
import type { Clients } from "../clients.ts";

/** A change of a machine that a watch has received. */
export interface Told {
  readonly id: string;
  readonly state: MachineState | undefined;
  readonly generation: bigint;
  readonly event: MachineEvent | undefined;
}

/** A watch that keeps its changes. */
export class Watcher {
  readonly told: Told[] = [];
  /** Of the last message that had one. */
  position = "";
  messages = 0;
  readonly #end = new AbortController();
  readonly ended: Promise<unknown>;

  constructor(clients: Clients, request: Partial<WatchMachinesRequest> = {}) {
    this.position = request.afterPosition ?? "";
    this.ended = this.#read(clients, { ...WatchMachinesRequest.create(), ...request }).then(
      () => undefined,
      (err: unknown) => err,
    );
  }

  get eventIds(): readonly string[] {
    return this.told.flatMap(({ event }) => event?.id ?? []);
  }

  /** Ends the watch, as a client does that goes away. */
  async close(): Promise<void> {
    this.#end.abort();
    await this.ended;
  }

  async #read({ machines }: Clients, request: WatchMachinesRequest): Promise<void> {
    const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal: this.#end.signal };
    for await (const { changes, position } of openStream(machines, machines.watchMachines, request, scope)) {
      for (const { machine, event } of changes) {
        const { id = "", state, generation = 0n } = machine ?? {};
        this.told.push({ id, state, generation, event });
      }
      if (position !== "") this.position = position;
      this.messages += 1;
    }
  }
}
