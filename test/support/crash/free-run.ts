import { freePorts, takenPorts } from "../../../dev/settings/ports.ts";

/** Finds the first of `count` consecutive loopback ports on which nobody listens. */
export async function freeRun(count: number): Promise<number> {
  for (const first of (await freePorts(50)).filter((port) => port + count < 65_536)) {
    const run = Array.from({ length: count }, (_, index) => ({
      part: "",
      variable: "",
      address: `127.0.0.1:${first + index}`,
    }));
    if ((await takenPorts(run)).length === 0) return first;
  }
  throw new Error(`no ${count} free ports in a row`);
}
