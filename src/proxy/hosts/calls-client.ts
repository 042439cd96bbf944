import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import { call } from "../../lib/grpc/client.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import { withRemoteParent } from "../../lib/otel/tracing.ts";

/** A machine to be called about. */
export interface CalledMachine {
  readonly machineId: string;
  readonly org: string;
}

/** The answer to a start. */
export interface Started {
  /** Empty: the machine ran already. */
  readonly path: string;
  readonly traceId: string;
  /** Of the machine after the start. */
  readonly generation: number;
}

/** What a proxy asks of a machine's host. Each throws the host's Fault. */
export interface MachineCalls {
  /** @param traceparent of the request that needs the machine */
  start(machine: CalledMachine, traceparent: string, signal: AbortSignal): Promise<Started>;
  /** Stops it, unless a proxy has used it in that time. @throws Fault `MACHINE_IN_USE` */
  stop(machine: CalledMachine, ifUnusedForMs: number, signal: AbortSignal): Promise<void>;
  suspend(machine: CalledMachine, ifUnusedForMs: number, signal: AbortSignal): Promise<void>;
}

/** A start may wait for a stop or an update that is under way. */
const START_TIMEOUT_MS = 120_000;
/** The grace of a stop is at most five minutes. */
const STOP_TIMEOUT_MS = 330_000;
const SOURCE = "proxy";

/** Makes the calls by a host's client. */
export function machineCalls(host: HostServiceClient): MachineCalls {
  return {
    async start({ machineId, org }, traceparent, signal) {
      const about = { machineId, org, leaseNonce: "", source: SOURCE, fromProxy: true };
      // Whether the program goes on is seen by its readiness.
      const request = { ...about, watch: durationToProto(0) };
      const send = () => call(host, host.startMachine, request, { timeoutMs: START_TIMEOUT_MS, signal });
      const { machine, startPath, alreadyStarted } = await withRemoteParent(traceparent, send);
      return {
        path: alreadyStarted ? "" : startPath,
        traceId: machine?.lastStartTraceId ?? "",
        generation: Number(machine?.generation ?? 0),
      };
    },
    async stop({ machineId, org }, ifUnusedForMs, signal) {
      const about = { machineId, org, leaseNonce: "", source: SOURCE, ignoreLease: false };
      const how = { signal: "", timeout: undefined, ifUnusedFor: durationToProto(ifUnusedForMs) };
      await call(host, host.stopMachine, { ...about, ...how }, { timeoutMs: STOP_TIMEOUT_MS, signal });
    },
    async suspend({ machineId, org }, ifUnusedForMs, signal) {
      const about = { machineId, org, leaseNonce: "", source: SOURCE, ignoreLease: false };
      const request = { ...about, ifUnusedFor: durationToProto(ifUnusedForMs) };
      await call(host, host.suspendMachine, request, { timeoutMs: STOP_TIMEOUT_MS, signal });
    },
  };
}
