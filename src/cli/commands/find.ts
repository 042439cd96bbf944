import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import { type ListMachinesRequest, MachinesServiceClient } from "../../gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

/** A client of the machines service. */
export function machinesClient(session: Session): Promise<MachinesServiceClient> {
  return session.client(MachinesServiceClient);
}

/** Whether `text` is a machine id: 14 lower-case hex digits. */
export function isMachineId(text: string): boolean {
  return /^[0-9a-f]{14}$/.test(text);
}

/** The app of `-a` or `WINDHOVER_APP`; undefined when neither is given. */
export function appOf(session: Session, flags: { readonly app?: string }): string | undefined {
  return flags.app ?? (session.env["WINDHOVER_APP"] || undefined);
}

/**
 * The id of a machine given by id or name. An id is taken as it is, without a call; a name is looked up in the record.
 *
 * @throws Fault NOT_FOUND / `MACHINE_NOT_FOUND`; UsageError when the name fits several
 */
export async function machineId(
  session: Session,
  client: MachinesServiceClient,
  idOrName: string,
  flags: { readonly app?: string },
): Promise<string> {
  if (isMachineId(idOrName)) return idOrName;
  const found: Machine[] = [];
  for await (const machine of allMachines(session, client, { app: appOf(session, flags) ?? "" })) {
    if (machine.name === idOrName) found.push(machine);
  }
  const [first, second] = found;
  if (first && second) {
    const list = found.map((machine) => `  ${machine.id}  app ${machine.app}`);
    throw new UsageError(
      `Several machines are called ${idOrName}; name one by its id, or its app with -a:\n${list.join("\n")}`,
    );
  }
  if (first) return first.id;
  const message = `no machine has the id or the name ${idOrName}`;
  throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", message, { machine: idOrName });
}

/** All machines that a request lists, page by page. */
export async function* allMachines(
  session: Session,
  client: MachinesServiceClient,
  filter: { readonly app?: string; readonly states?: ListMachinesRequest["states"] },
): AsyncGenerator<Machine> {
  let pageToken = "";
  do {
    const request = { app: filter.app ?? "", states: filter.states ?? [], pageSize: 1_000, pageToken };
    const page = await session.call(client, client.listMachines, request);
    yield* page.machines;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
