import { ulid } from "ulid";
import { HostEvent } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Machine,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import type { TestApi, World } from "../fixture.ts";

/** The outbox of a fake host: reports changes of its machines. */
export class Reporter {
  readonly #world: World;
  readonly #host: number;
  readonly #generations = new Map<string, bigint>();
  #sequence = 0n;

  constructor(world: World, host = 1) {
    this.#world = world;
    this.#host = host;
  }

  /** Makes a change with an event. */
  change(machine: Machine, state: MachineState = MachineState.STARTED): HostEvent {
    const generation = (this.#generations.get(machine.id) ?? machine.generation) + 1n;
    this.#generations.set(machine.id, generation);
    this.#sequence += 1n;
    const event = MachineEvent.fromPartial({ id: ulid(), type: "start", status: state, source: "hostd" });
    const status = { id: machine.id, state, generation, updateTime: new Date() };
    return HostEvent.fromPartial({ sequence: this.#sequence, status, event });
  }

  /** Reports changes to an api. */
  async report(to: TestApi, events: readonly HostEvent[]): Promise<void> {
    const { reports } = to.internal;
    const { number, identity } = this.#world.host(this.#host);
    await call(
      reports,
      reports.reportEvents,
      { hostNumber: number, identity, events: [...events] },
      { timeoutMs: 20_000 },
    );
  }
}

export function idsOf(events: readonly HostEvent[]): readonly string[] {
  return events.map(({ event }) => event?.id ?? "");
}
