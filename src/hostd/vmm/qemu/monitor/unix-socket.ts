import { once } from "node:events";
import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";

/** Linux only, and missing among Node's constants. */
const O_PATH = 0o10000000;

/**
 * Calls `use` with a short path of the entry `name` of `dir`, valid until it resolves. The path of
 * a unix socket ends at 107 bytes, so it names the folder by its descriptor.
 */
export async function withShortPath<T>(
  dir: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const fd = openSync(dir, constants.O_DIRECTORY | O_PATH);
  try {
    return await use(`/proc/self/fd/${fd}/${name}`);
  } finally {
    closeSync(fd);
  }
}

/** Connects to a socket in a folder. Rejects when nobody listens. */
export function connectIn(dir: string, name: string): Promise<Socket> {
  return withShortPath(dir, name, async (path) => {
    // The folder belongs to a QEMU, which may be compromised: a link could lead to any socket.
    if (!lstatSync(path).isSocket()) throw new Error(`${name} is no socket`);
    const socket = createConnection({ path });
    await once(socket, "connect");
    return socket;
  });
}
