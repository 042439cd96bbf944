import { once } from "node:events";
import { chmod, mkdir, rm, stat } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { Fault } from "../faults/fault.ts";

function splitAddress(address: string): { host: string; port: number } {
  const [, host = "127.0.0.1", port = "0"] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port) };
}

/**
 * Makes a server listen at `host:port` or `unix:/path`.
 *
 * @param variable named in errors
 * @returns the port, 0 for a unix socket
 * @throws Fault FAILED_PRECONDITION / `ADDRESS_IN_USE`, `CANNOT_LISTEN`
 */
export async function listen(server: Server, address: string, variable: string): Promise<number> {
  await prepareSocket(address, variable);
  const path = socketPath(address);
  if (path === undefined) server.listen(splitAddress(address));
  else server.listen(path);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw isInUse(cause) ? addressInUse(address, variable, cause) : cannotListen(address, variable, cause);
  }
  await closeToOthers(address);
  const bound = server.address();
  return bound !== null && typeof bound === "object" ? bound.port : 0;
}

/**
 * Makes the folder of a socket, open to its owner alone, when it is not there, and removes the socket file of a process
 * that was killed.
 *
 * @throws Fault `ADDRESS_IN_USE` when a process answers there, `CANNOT_LISTEN`
 */
export async function prepareSocket(address: string, variable: string): Promise<void> {
  const path = socketPath(address);
  if (path === undefined) return;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw cannotListen(address, variable, cause);
  }
  const found = await stat(path).catch(() => undefined);
  if (!found?.isSocket()) return;
  if (await answers(path)) throw addressInUse(address, variable);
  await rm(path, { force: true });
}

/** Lets only its owner connect to a socket. */
export async function closeToOthers(address: string): Promise<void> {
  const path = socketPath(address);
  if (path !== undefined) await chmod(path, 0o600);
}

export function addressInUse(address: string, variable: string, cause?: unknown): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "ADDRESS_IN_USE",
    `${address} is in use; set ${variable} to another`,
    { address, variable },
    { cause },
  );
}

export function cannotListen(address: string, variable: string, cause: unknown): Fault {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Fault(
    "FAILED_PRECONDITION",
    "CANNOT_LISTEN",
    `cannot listen at ${address} (${variable}): ${why}`,
    { address, variable },
    { cause },
  );
}

/** Whether an error says that an address is in use. */
export function isInUse(err: unknown): boolean {
  return err instanceof Error && /EADDRINUSE/.test(`${"code" in err ? String(err.code) : ""} ${err.message}`);
}

function socketPath(address: string): string | undefined {
  return /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  socket.setTimeout(1_000, () => socket.destroy(new Error("no answer")));
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
