import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename } from "node:path";
import { allProcesses, inspect, openFiles } from "../../tools/lib/processes.ts";

export interface Listener {
  readonly part: string;
  readonly address: string;
  /** The variable that moves it. */
  readonly variable: string;
}

/** Below the ports of connections, which could take a port while its part is down. */
const FIRST_FREE_PORT = 10_000;
const END_OF_FREE_PORTS = 20_000;

/**
 * Finds loopback ports on which nobody listens. Until this process ends, other processes do not find
 * them here: the parts that get them may be down for a while.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(FIRST_FREE_PORT, END_OF_FREE_PORTS);
    if ((await whyNotFree("127.0.0.1", port)) === undefined && (await reserve(port))) ports.push(port);
  }
  return ports;
}

/** Reserves a port by a name that the kernel gives to one process at a time, and takes back at its end. */
async function reserve(port: number): Promise<boolean> {
  const reservation = createServer();
  reservation.unref();
  try {
    await once(reservation.listen({ path: `\0windhover-port-${port}` }), "listening");
    return true;
  } catch {
    return false;
  }
}

/** Describes every address that is taken, in one sentence each. */
export async function takenPorts(listeners: readonly Listener[]): Promise<readonly string[]> {
  // Whoever listens at a socket of the fleet's folder is of the fleet.
  const ports = listeners.filter(({ address }) => !address.startsWith("unix:"));
  const answers = await Promise.all(ports.map(describeTaken));
  return answers.filter((each) => each !== undefined);
}

/** Lists a part's address and that of its metrics. */
export function withMetrics(
  part: string,
  [address, metrics]: readonly [string, string],
  [variable, metricsVariable]: readonly [string, string],
): readonly Listener[] {
  return [
    { part, address, variable },
    { part: `metrics of ${part}`, address: metrics, variable: metricsVariable },
  ];
}

/** Splits `host:port` at the last colon; without one there is no host. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, Math.max(colon, 0)), port: Number(address.slice(colon + 1)) };
}

async function describeTaken(listener: Listener): Promise<string | undefined> {
  const { host, port } = splitAddress(listener.address);
  const code = await whyNotFree(host, port);
  if (code === undefined) return undefined;
  const value = listener.variable.endsWith("_PORT") ? "PORT" : `${host}:PORT`;
  const change = `${listener.variable}=${value} moves it`;
  if (code !== "EADDRINUSE")
    return `${listener.address} (${listener.part}) cannot be used: ${code}; ${change}.`;
  const owner = portOwner(port);
  return `${listener.address} (${listener.part}) is taken${owner === undefined ? "" : ` by ${owner}`}; ${change}.`;
}

/** Returns the error code of listening there; undefined when the address is free. */
async function whyNotFree(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    await once(server.listen(port, host), "listening");
    await once(server.close(), "close");
    return undefined;
  } catch (cause) {
    return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  }
}

/** Finds name and number of the process that listens on a TCP port, when we may see it. */
function portOwner(port: number): string | undefined {
  const LISTENING = "0A";
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
    .flatMap((table) => (existsSync(table) ? readFileSync(table, "utf8").split("\n") : []))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING && fields[1]?.endsWith(suffix))
    .map((fields) => `socket:[${fields[9]}]`);
  const owner = allProcesses().find(({ pid }) => openFiles(pid).some((file) => sockets.includes(file)));
  return owner && `${basename(inspect(owner.pid).executable) || "a process"} (process ${owner.pid})`;
}
