import type { GuestProcess, GuestSocket } from "../../../exec.ts";
import { TAG } from "../../guest-protocol/protocol.ts";
import { readFields, readNumber } from "../../guest-protocol/tlv.ts";

const MAX_TEXT_BYTES = 1024;
const MAX_PROCESSES = 4_096;
const MAX_SOCKETS = 64;
const PROTOCOLS: ReadonlySet<string> = new Set(["tcp", "tcp6", "udp", "udp6"]);

interface Draft {
  pid: number;
  parentPid: number;
  command: string;
  directory: string;
  cpuMs: number;
  systemMs: number;
  runMs: number;
  residentBytes: number;
  sockets: GuestSocket[];
}

/** Reads a guest's list of its processes. The guest may be hostile: invalid entries are left out. */
export function readProcesses(body: Buffer): readonly GuestProcess[] {
  const all: Draft[] = [];
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.pid) {
      if (all.length === MAX_PROCESSES) break;
      all.push(newProcess(readNumber(value)));
      continue;
    }
    const process = all.at(-1);
    if (process) setField(process, tag, value);
  }
  return all.filter(({ pid }) => pid > 0 && pid < 2 ** 31).sort((a, b) => a.pid - b.pid);
}

function newProcess(pid: number): Draft {
  const times = { cpuMs: 0, systemMs: 0, runMs: 0 };
  return { pid, parentPid: 0, command: "", directory: "", ...times, residentBytes: 0, sockets: [] };
}

function setField(process: Draft, tag: number, value: Buffer): void {
  switch (tag) {
    case TAG.parent:
      process.parentPid = readNumber(value) % 2 ** 31;
      break;
    case TAG.command:
      process.command = textOf(value);
      break;
    case TAG.directory:
      process.directory = textOf(value);
      break;
    case TAG.cpu:
      process.cpuMs = readNumber(value) / 1_000;
      break;
    case TAG.system:
      process.systemMs = readNumber(value) / 1_000;
      break;
    case TAG.runTime:
      process.runMs = readNumber(value) / 1_000;
      break;
    case TAG.resident:
      process.residentBytes = readNumber(value);
      break;
    case TAG.socket: {
      const [protocol = "", address = ""] = textOf(value).split(" ");
      if (isProtocol(protocol) && process.sockets.length < MAX_SOCKETS)
        process.sockets.push({ protocol, address });
      break;
    }
    default:
      break;
  }
}

function isProtocol(text: string): text is GuestSocket["protocol"] {
  return PROTOCOLS.has(text);
}

function textOf(value: Buffer): string {
  return value.toString("utf8", 0, MAX_TEXT_BYTES);
}
