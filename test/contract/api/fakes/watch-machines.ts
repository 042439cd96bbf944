import type { EventEmitter } from "node:events";
import type { WatchedMachine, WatchMachinesRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";

/** Tells of machines that have changed. */
export type Changes = EventEmitter<{ change: [id: string] }>;

/** Answers with the state of each machine that is named, then with its changes. */
export async function* watchMachines(
  machines: ReadonlyMap<string, Machine>,
  changes: Changes,
  requests: AsyncIterable<WatchMachinesRequest>,
  rollbackTo: () => string,
) {
  const named = new Set<string>();
  const told: WatchedMachine[] = [];
  let wake = () => {};
  const tell = (id: string) => {
    if (named.has(id)) told.push(watched(id, machines.get(id), rollbackTo()));
    wake();
  };
  changes.on("change", tell);
  const reading = (async () => {
    for await (const { watchIds, unwatchIds } of requests) {
      for (const id of unwatchIds) named.delete(id);
      for (const id of watchIds) {
        named.add(id);
        tell(id);
      }
    }
  })();
  reading.catch(() => {});
  try {
    for (;;) {
      const machines = told.splice(0);
      if (machines.length > 0) yield { machines };
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    changes.off("change", tell);
  }
}

function watched(id: string, machine: Machine | undefined, rollbackInstanceId: string): WatchedMachine {
  const reachable = machine?.state === MachineState.STARTED ? [MachineState.STOPPED] : [];
  const told = machine && { ...machine, config: undefined };
  return { id, machine: told, reachable, missing: !machine, rollbackInstanceId };
}
