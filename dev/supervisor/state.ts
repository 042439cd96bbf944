import { readFileSync } from "node:fs";
import { replaceFileSync } from "../../src/lib/stores/durable-file.ts";
import { bootId, isAlive, type ProcessIdentity } from "../../tools/lib/processes.ts";
import type { FleetSettings } from "../settings/settings.ts";
import type { PartState } from "./part.ts";

/** Phase of a fleet. After `failed` and `stopped` nothing of it runs. */
export type Phase = "starting" | "ready" | "stopping" | "stopped" | "failed";

/** The content of `fleet.json`, which the supervisor writes on every change. */
export interface FleetState {
  readonly phase: Phase;
  /** Of `failed`. */
  readonly problem?: string;
  readonly bootId: string;
  readonly supervisor: ProcessIdentity;
  readonly regions: FleetSettings["regions"];
  /** What `hover` uses; `api` is the first region's. */
  readonly addresses: {
    readonly api: string;
    readonly rest: string;
    readonly apiMetrics: string;
    readonly proxy: string;
    readonly registry: string;
    readonly traces: string;
    readonly console?: string;
  };
  readonly hosts: FleetSettings["hosts"];
  readonly parts: readonly {
    readonly name: string;
    readonly state: PartState;
    readonly process?: ProcessIdentity;
    readonly restarts: number;
  }[];
}

/** Replaces the state atomically. */
export function writeState(path: string, state: FleetState): void {
  replaceFileSync(path, `${JSON.stringify(state, undefined, 2)}\n`);
}

/** Reads the last state, if there is a legible one. */
export function readState(path: string): FleetState | undefined {
  try {
    // Only `writeState` writes it.
    return JSON.parse(readFileSync(path, "utf8")) as FleetState;
  } catch {
    return undefined;
  }
}

/** Whether the supervisor that wrote this still runs. */
export function isSupervised(state: FleetState): boolean {
  return state.bootId === bootId() && isAlive(state.supervisor);
}
