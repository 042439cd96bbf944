import { readFileSync } from "node:fs";
import { replaceFileSync } from "../../src/lib/stores/durable-file.ts";
import { bootId, isAlive, type ProcessIdentity } from "../../tools/lib/processes.ts";
import type { FleetSettings } from "../settings/settings.ts";
import type { PartState } from "./part.ts";

/** What a fleet is doing. `failed` and `stopped` are last words: nothing of it runs any more. */
export type Phase = "starting" | "ready" | "stopping" | "stopped" | "failed";

/** What `fleet.json` says: written by the supervisor on every change, read by everybody else. */
export interface FleetState {
  readonly phase: Phase;
  /** Why, for `failed`. */
  readonly problem?: string;
  /** Of the boot that the process numbers belong to. */
  readonly bootId: string;
  readonly supervisor: ProcessIdentity;
  /** The first one. */
  readonly region: string;
  readonly regions: FleetSettings["regions"];
  /** Of the first region, and of what there is one of. */
  readonly addresses: {
    readonly api: string;
    readonly scheduler: string;
    readonly registry: string;
    readonly traces: string;
    readonly apiMetrics: string;
    readonly schedulerMetrics: string;
  };
  readonly hosts: FleetSettings["hosts"];
  readonly parts: readonly {
    readonly name: string;
    readonly state: PartState;
    readonly process?: ProcessIdentity;
    readonly restarts: number;
  }[];
}

/** Replaces the state as a whole; a reader sees the old or the new. After a power cut nothing of the fleet runs. */
export function writeState(path: string, state: FleetState): void {
  replaceFileSync(path, `${JSON.stringify(state, undefined, 2)}\n`);
}

/** The last state written; undefined when there never was a fleet, or its state is not legible. */
export function readState(path: string): FleetState | undefined {
  try {
    // Written by `writeState` and replaced atomically, so it is either this or not JSON.
    return JSON.parse(readFileSync(path, "utf8")) as FleetState;
  } catch {
    return undefined;
  }
}

/** Whether the supervisor that wrote this still runs. */
export function isSupervised(state: FleetState): boolean {
  return state.bootId === bootId() && isAlive(state.supervisor);
}
