import { join } from "node:path";
import type { Stack } from "../../lib/runtime/lifecycle.ts";
import { HostFile } from "./host-file.ts";
import { HostTable } from "./host-table.ts";

/** Opens the host table with the content of its file, which then follows the table. */
export async function openHostTable(stateDir: string, stack: Stack): Promise<HostTable> {
  const table: HostTable = new HostTable((change) => file.changed(change));
  const file = new HostFile(join(stateDir, "hosts.json"), () => table.all());
  for (const entry of await file.load()) table.learn(entry);
  stack.add("host table", () => file.flush());
  return table;
}
