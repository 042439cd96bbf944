import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import { type ListMachinesRequest, MachinesServiceClient } from "../../gen/windhover/machines/v1/machines.ts";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import type { Subject } from "../session/faults/hints.ts";
import { UsageError } from "../session/faults/usage-error.ts";
import { pages, type Session } from "../session/session.ts";

/** The flag of commands whose machines may be given by name. */
export interface AppFlag {
  readonly app?: string;
}

export const APP_FLAG = ["-a, --app <app>", "app (default: WINDHOVER_APP)"] as const;

/** Names the machine of a command that takes one. */
export function aboutMachine([machine]: [string], { app }: AppFlag): Subject {
  return { machine, app };
}

export function machinesClient(session: Session): Promise<MachinesServiceClient> {
  return session.client(MachinesServiceClient);
}

/** Whether `text` is a machine id: 14 lower-case hex digits. */
export function isMachineId(text: string): boolean {
  return /^[0-9a-f]{14}$/.test(text);
}

/** Returns the app of `-a` or `WINDHOVER_APP`, if either is given. */
export function appOf(session: Session, flags: AppFlag): string | undefined {
  return flags.app ?? (session.env["WINDHOVER_APP"] || undefined);
}

/**
 * Finds the id of a machine that is given by id or name. An id costs a call only with `-a`: a machine
 * of another app is not what was meant.
 *
 * @throws Fault NOT_FOUND / `MACHINE_NOT_FOUND`; UsageError when several machines have the name
 */
export async function machineId(
  session: Session,
  client: MachinesServiceClient,
  idOrName: string,
  flags: AppFlag,
): Promise<string> {
  if (isMachineId(idOrName)) {
    if (flags.app !== undefined) await expectOfApp(session, client, idOrName, flags.app);
    return idOrName;
  }
  const all = await Array.fromAsync(allMachines(session, client, { app: appOf(session, flags) }));
  const found = all.filter((machine) => machine.name === idOrName);
  const [first, second] = found;
  if (first && second) {
    const list = found.map((machine) => `  ${machine.id}  app ${machine.app}`);
    throw new UsageError(
      `Several machines are called ${idOrName}; give an id, or the app with -a:\n${list.join("\n")}`,
    );
  }
  if (first) return first.id;
  throw notFound(idOrName, `no machine has the id or the name ${idOrName}`);
}

async function expectOfApp(
  session: Session,
  client: MachinesServiceClient,
  id: string,
  app: string,
): Promise<void> {
  try {
    const { machine } = await session.call(client, client.getMachine, { machineId: id });
    if (machine?.app !== app) throw notFound(id, `no machine of the app ${app} has the id ${id}`);
  } catch (err) {
    // A token may be for starts alone, say: then nobody can look, and what follows needs no look.
    if (!hasReason(err, "TOKEN_RESTRICTED")) throw err;
  }
}

function notFound(machine: string, message: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", message, { machine });
}

/** Filters of a list of machines. An absent one excludes nothing. */
type Wanted = { readonly app?: string | undefined } & Partial<
  Pick<ListMachinesRequest, "states" | "regions" | "metadata">
>;

/** Lists machines, page by page. */
export async function* allMachines(
  session: Session,
  client: MachinesServiceClient,
  { app = "", ...wanted }: Wanted,
): AsyncGenerator<Machine> {
  const all = pages((page) =>
    session.call(client, client.listMachines, {
      states: [],
      regions: [],
      metadata: new Map(),
      updatedAfter: undefined,
      orderBy: "",
      full: false,
      fresh: false,
      ...wanted,
      app,
      ...page,
    }),
  );
  for await (const { machines } of all) yield* machines;
}
