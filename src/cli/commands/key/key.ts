import { join } from "node:path";
import { ACTIVATION_MS, readKeys } from "../../../lib/auth/key-directory.ts";
import { publicBytes } from "../../../lib/auth/keys.ts";
import { removeKey, rotateKeys } from "../../../lib/auth/rotate-keys.ts";
import { type Column, table } from "../../render/table.ts";
import { ago } from "../../render/time.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { whole } from "../values.ts";

const COLUMNS: readonly Column[] = [
  { title: "KEY", align: "right" },
  { title: "ROLE", min: 8 },
  { title: "WRITTEN", dropRank: 1 },
  { title: "PUBLIC KEY" },
];

interface DirFlag {
  readonly dir?: string;
}

/** Commands on a folder of keys (`TOKEN_KEYS_DIR`). They call no service. */
export function defineKey(key: HoverCommand): void {
  folder(key.leaf("list", "Lists the keys of a folder").alias("ls"))
    .examples("hover key list")
    .runs(listKeys);
  folder(
    key.leaf("rotate", "Adds a key, which signs from five seconds later; tokens of older keys stay valid"),
  )
    .examples("hover key rotate")
    .runs(rotateKey);
  folder(
    key
      .leaf("remove", "Removes a key: every token that it has signed is void")
      .requiredOption("-k, --key <id>", "id of the key", whole(1, 2 ** 31 - 1)),
  )
    .examples("hover key remove --key 1")
    .runs(removeOne);
}

function folder(command: HoverCommand): HoverCommand {
  return command.option("-d, --dir <path>", "folder of the keys (default: that of the local fleet)");
}

function dirOf(session: Session, { dir }: DirFlag): string {
  return dir ?? join(session.settings.dir, "keys");
}

async function listKeys(session: Session, _args: [], flags: DirFlag): Promise<void> {
  const keys = readKeys(dirOf(session, flags), true);
  const signing = keys.findLast(({ privateKey }) => privateKey !== undefined)?.id;
  const shown = keys.map(({ id, publicKey, createTimeMs }) => ({
    id,
    role: id === signing ? "signs" : "verifies",
    write_time: new Date(createTimeMs).toISOString(),
    public_key: publicBytes(publicKey).toString("hex"),
  }));
  if (session.json) return session.printJson(shown);
  const now = Date.now();
  const rows = shown.map(({ id, role, write_time: time, public_key: key }) => [
    ...[String(id), role, ago(new Date(time), now), key],
  ]);
  session.printLines(table(COLUMNS, rows, session.terminal.width));
}

async function rotateKey(session: Session, _args: [], flags: DirFlag): Promise<void> {
  const dir = dirOf(session, flags);
  const id = await rotateKeys(dir);
  if (session.json) return session.printJson({ id, dir, signs_in_seconds: ACTIVATION_MS / 1_000 });
  session.printLines([`key ${id} made in ${dir}; it signs in ${ACTIVATION_MS / 1_000} s`]);
  session.suggest("hover key list", `hover key remove --key ${Math.max(1, id - 1)}   (voids its tokens)`);
}

async function removeOne(session: Session, _args: [], flags: DirFlag & { key: number }): Promise<void> {
  removeKey(dirOf(session, flags), flags.key);
  if (session.json) return session.printJson({ id: flags.key });
  session.printLines([`key ${flags.key} removed; its tokens are void within two seconds`]);
}
