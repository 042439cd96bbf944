import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Qmp, QmpEvent } from "./qmp.ts";
import { withShortPath } from "./unix-socket.ts";

const SAVE_SOCKET = "save.sock";
/** The state does not contain memory that is in a shared file. */
export const CAPABILITIES = ["x-ignore-shared", "events"].map((capability) => ({ capability, state: true }));

/** Saves the state of a VM that is stopped. Resolves with what `read` makes of it. */
export async function saveState<T>(
  runDir: string,
  qmp: Qmp,
  signal: AbortSignal,
  read: (state: Socket) => Promise<T>,
): Promise<T> {
  // Reading reports errors; until it begins, nobody else would listen.
  const server = createServer((socket) => socket.on("error", () => {}));
  try {
    return await withShortPath(runDir, SAVE_SOCKET, async (path) => {
      server.listen({ path, writableAll: true, readableAll: true });
      await once(server, "listening");
      await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
      const done = migrationEnds(qmp, signal);
      const [[socket]] = await Promise.all([
        once(server, "connection", { signal }),
        qmp.execute("migrate", { uri: `unix:${SAVE_SOCKET}` }),
      ]);
      const state = await read(socket);
      await done;
      return state;
    });
  } finally {
    server.close();
  }
}

/** Resolves when the state has been saved or loaded. Call it before that begins. */
export function migrationEnds(qmp: Qmp, signal: AbortSignal): Promise<void> {
  const hasEnded = ({ name, data }: QmpEvent): boolean =>
    name === "MIGRATION" && (data["status"] === "completed" || data["status"] === "failed");
  const ended = qmp.event(hasEnded, signal).then(({ data }) => {
    if (data["status"] === "failed") throw new Error("QEMU could not save or load its state");
  });
  // It may fail before it is awaited.
  ended.catch(() => {});
  return ended;
}
