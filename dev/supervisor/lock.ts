import { once } from "node:events";
import { createServer } from "node:net";
import { fleetId } from "../settings/layout.ts";

/** Held by the one supervisor of a fleet. */
export interface FleetLock {
  release(): Promise<void>;
}

/**
 * Takes the lock of a fleet's folder; undefined when another supervisor has it. It is an abstract
 * unix socket, which the kernel releases however its holder ends.
 */
export async function takeLock(folder: string): Promise<FleetLock | undefined> {
  const server = createServer((socket) => socket.destroy());
  try {
    await once(server.listen(`\0windhover/${fleetId(folder)}`), "listening");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE") return undefined;
    throw cause;
  }
  server.unref();
  return {
    async release() {
      await once(server.close(), "close");
    },
  };
}
