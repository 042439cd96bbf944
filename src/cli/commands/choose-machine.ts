import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import { stateName } from "../render/names.ts";
import { type Column, table } from "../render/table.ts";
import { UsageError } from "../session/faults/usage-error.ts";
import { ask } from "../session/secret-input.ts";
import type { Session } from "../session/session.ts";
import { type AppFlag, allMachines, appOf, machinesClient } from "./find.ts";

/** Machines that are offered, the newest ones. */
const MAX_OFFERED = 50;
const COLUMNS: readonly Column[] = [
  { title: "" },
  { title: "ID" },
  { title: "NAME", min: 8 },
  { title: "STATE" },
  { title: "APP", min: 6, dropRank: 1 },
  { title: "REGION", dropRank: 2 },
];

/**
 * Lets a person choose among the machines of the app, or of the organisation.
 *
 * @returns the id, or the ids when `isSeveral`
 * @throws UsageError without a terminal, or when nothing is chosen
 */
export async function chooseMachine(
  session: Session,
  flags: AppFlag,
  isSeveral: boolean,
): Promise<string | string[]> {
  if (!canChoose(session)) throw new UsageError("missing required argument 'machine'");
  const app = appOf(session, flags);
  const all = await Array.fromAsync(allMachines(session, await machinesClient(session), { app }));
  if (all.length === 0) throw new UsageError("There is no machine to choose from.");
  const offered = all.slice(-MAX_OFFERED);
  const rows = offered.map(({ id, name, state, app: of, region }, at) => [
    ...[String(at + 1), id, name, stateName(state), of, region],
  ]);
  session.say(table(COLUMNS, rows, session.terminal.width).join("\n"));
  if (offered.length < all.length) session.say(`${all.length - offered.length} older ones can be named.`);
  const question = isSeveral ? "Which machines? Their numbers" : "Which machine? Its number";
  for (;;) {
    const words = (await ask(session, question)).split(/[\s,]+/).filter((word) => word !== "");
    const ids = words.flatMap((word) => idOf(word, offered) ?? []);
    const [first] = ids;
    if (first !== undefined && ids.length === words.length && (isSeveral || ids.length === 1))
      return isSeveral ? ids : first;
    session.say(isSeveral ? "Numbers of the list, please." : "One number of the list, please.");
  }
}

/** Whether a person can be asked. */
export function canChoose({ terminal, json }: Session): boolean {
  return terminal.isErrTty && process.stdin.isTTY === true && !json;
}

/** Finds the choice that a word of the answer names: by its place in the list, id or name. */
function idOf(word: string, offered: readonly Machine[]): string | undefined {
  const named = offered.find(({ id, name }) => word === id || word === name);
  return (named ?? (/^\d{1,2}$/.test(word) ? offered[Number(word) - 1] : undefined))?.id;
}
