import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

/** One address of a fleet, and what a person must know about it when it is taken. */
export interface Listener {
  readonly part: string;
  /** `host:port`. */
  readonly address: string;
  /** The variable that moves it. */
  readonly variable: string;
}

/** Below the ports that the kernel gives to connections: one of those could take a port while its part is down. */
const FIRST_FREE_PORT = 10_000;
const END_OF_FREE_PORTS = 20_000;

/** Ports of the loopback interface that nobody listens on, all different. Taken by nobody either: use them soon. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(FIRST_FREE_PORT, END_OF_FREE_PORTS);
    if ((await whyNotFree("127.0.0.1", port)) === undefined) ports.add(port);
  }
  return [...ports];
}

/** Describes every address that is taken, one sentence each; empty when all are free. */
export async function takenPorts(listeners: readonly Listener[]): Promise<readonly string[]> {
  const answers = await Promise.all(listeners.map(describeTaken));
  return answers.filter((each) => each !== undefined);
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

/** The system's error code when nobody can listen there; undefined for an address that is free. */
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

/** Name and number of the process that listens on a TCP port, when we may see it. */
function portOwner(port: number): string | undefined {
  const inodes = new Set([
    ...listeningInodes("/proc/net/tcp", port),
    ...listeningInodes("/proc/net/tcp6", port),
  ]);
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    if (openSockets(pid).some((inode) => inodes.has(inode))) return `${programName(pid)} (process ${pid})`;
  }
  return undefined;
}

function listeningInodes(table: string, port: number): readonly string[] {
  const listening = "0A";
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return readText(table)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === listening && fields[1]?.endsWith(`:${wanted}`))
    .flatMap((fields) => fields[9] ?? []);
}

function openSockets(pid: string): readonly string[] {
  return attempt(() => readdirSync(`/proc/${pid}/fd`), []).flatMap((fd) => {
    // Some are closed by the time we look, among them the one that read the folder.
    const target = attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`), "");
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function programName(pid: string): string {
  return readText(`/proc/${pid}/comm`).trim() || "a process";
}

function readText(path: string): string {
  return attempt(() => readFileSync(path, "utf8"), "");
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
