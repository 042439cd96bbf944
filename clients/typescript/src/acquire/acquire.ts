import { randomUUID } from "node:crypto";
import type { Caller, CallOptions } from "../calls/caller.ts";
import {
  AcquireServiceClient,
  LaunchStep,
  type AcquireAttempt as ProtoAttempt,
  type AcquireStep as ProtoStep,
  StartAnyStep,
} from "../gen/windhover/machines/v1/acquire.ts";
import { duration, durationOrNone, toMs } from "../values/duration.ts";
import { complete, type Input } from "../values/input.ts";
import { type Machine, machineFromProto } from "../values/machine.ts";

/** One way to get a machine; `timeoutMs` bounds it. */
export type AcquireStep = { readonly timeoutMs?: number } & (
  | {
      /** Id of the machine to start. */
      readonly start: string;
    }
  | {
      /** Starts any stopped machine that fits. */
      readonly startAny: Input<StartAnyStep>;
    }
  | {
      /** Creates a machine and starts it. */
      readonly launch: Input<LaunchStep>;
    }
);

/** Request of `acquire`. */
export interface Acquire {
  /** Steps in the order in which they are tried. 1 to 8. */
  readonly steps: readonly AcquireStep[];
  /**
   * Returns the same machine for the same key. Absent: a random one, for the retries of this call
   * alone.
   */
  readonly key?: string;
  /** Begins the next step when one has not ended after so long. 0: never. Default 2 s. */
  readonly hedgeAfterMs?: number;
}

/** One try. */
export interface AcquireAttempt extends Omit<ProtoAttempt, "duration"> {
  readonly durationMs: number;
}

/** The machine, and the attempts. */
export interface Acquired {
  /** The machine, started. */
  readonly machine: Machine;
  /** Index of the step that yielded it. */
  readonly step: number;
  /** Whether an earlier call with this key had yielded it. */
  readonly repeated: boolean;
  /** Attempts in the order in which they began. */
  readonly attempts: readonly AcquireAttempt[];
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** For the answer to arrive after the time of all steps. */
const MARGIN_MS = 5_000;

/** Gets a running machine by the first of several ways that works. */
export async function acquireMachine(
  caller: Caller,
  { steps, key, hedgeAfterMs }: Acquire,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: CallOptions,
): Promise<Acquired> {
  const message = {
    steps: steps.map(stepToProto),
    // An empty one would be none, and a repeat another machine.
    key: key || randomUUID(),
    timeout: duration(timeoutMs),
    hedgeAfter: durationOrNone(hedgeAfterMs),
  };
  const scope = { timeoutMs: timeoutMs + MARGIN_MS, signal, retry: "always" } as const;
  const method = (client: AcquireServiceClient) => client.acquireMachine;
  const response = await caller.unary(AcquireServiceClient, method, message, scope);
  return {
    ...response,
    machine: machineFromProto(response.machine),
    attempts: response.attempts.map(({ duration: took, ...attempt }) => ({
      ...attempt,
      durationMs: took ? toMs(took) : 0,
    })),
  };
}

function stepToProto(step: AcquireStep): ProtoStep {
  const timeout = durationOrNone(step.timeoutMs);
  if ("start" in step) return { timeout, step: { $case: "start", value: { machineId: step.start } } };
  if ("startAny" in step) {
    return { timeout, step: { $case: "startAny", value: complete(StartAnyStep, step.startAny) } };
  }
  return { timeout, step: { $case: "launch", value: complete(LaunchStep, step.launch) } };
}
