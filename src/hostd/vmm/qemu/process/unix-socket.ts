import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";

/**
 * Connects to a socket in a directory, however long the directory's path: a unix socket's own path ends at 107 bytes, so the
 * directory is opened and named by its descriptor. Rejects when nobody listens.
 */
export async function connectIn(dir: string, name: string): Promise<Socket> {
  // O_PATH is Linux only and missing among Node's constants.
  const fd = openSync(dir, constants.O_DIRECTORY | 0o10000000);
  const path = `/proc/self/fd/${fd}/${name}`;
  try {
    // The directory belongs to a QEMU that may have been taken over: a link would lead to a socket of its choice.
    if (!lstatSync(path).isSocket()) throw new Error(`${name} is no socket`);
    return await connect(path);
  } finally {
    closeSync(fd);
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
