import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process that may dial. */
export interface Dialer {
  readonly pid: number;
  readonly name: string;
}

/**
 * Which of these processes holds the TCP connection whose own port is `port`: asked of the kernel's tables, because on one machine all dial from
 * the same address. Undefined: none of them.
 */
export function dialerOf(port: number, dialers: readonly Dialer[]): string | undefined {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set(
    lines("/proc/net/tcp")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]?.endsWith(wanted))
      .map((fields) => `socket:[${fields[9]}]`),
  );
  return dialers.find(({ pid }) => openFiles(pid).some((file) => inodes.has(file)))?.name;
}

function lines(path: string): readonly string[] {
  return readFileSync(path, "utf8").split("\n").slice(1);
}

function openFiles(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        // Closed since the folder was read.
        return "";
      }
    });
  } catch {
    // The process has ended.
    return [];
  }
}
