import { Fault } from "../../lib/faults/fault.ts";

/** A named group of machines. */
export interface App {
  readonly name: string;
  readonly org: string;
  readonly createTimeMs: number;
  /** Machines that are not destroyed. */
  readonly machineCount: number;
  /** Name of a private network; empty: none was asked for. */
  readonly network: string;
  /** For people. */
  readonly orgName: string;
}

export function appNotFound(name: string): Fault {
  return new Fault("NOT_FOUND", "APP_NOT_FOUND", `there is no app ${name}; create it first`, { app: name });
}

export function appNotEmpty(name: string, machines: number, why: string): Fault {
  return new Fault("FAILED_PRECONDITION", "APP_NOT_EMPTY", `app ${name} has ${machines} machines: ${why}`, {
    app: name,
    machines: String(machines),
  });
}
