import type {
  ExecMachineRequest as HostRequest,
  ExecMachineResponse as HostResponse,
  HostServiceClient,
} from "../../gen/windhover/hostd/v1/hostd.ts";
import type {
  ExecMachineRequest,
  ExecMachineResponse,
  Process,
} from "../../gen/windhover/machines/v1/exec.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { type Duplex, openDuplex } from "../../lib/grpc/calls/duplex.ts";
import { call } from "../../lib/grpc/client.ts";
import type { Connections } from "../../lib/grpc/connections.ts";
import { faultFromHost } from "../hosts/hostd-client.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { Target } from "../machines/machines.ts";
import type { Caller, CallLimits } from "../requests/caller.ts";

const LIST_TIMEOUT_MS = 20_000;

/** A command on its way to a host. */
export interface HostExec {
  /** Sends a request of the client. Resolves when there is room for more. */
  send(request: ExecMachineRequest): Promise<void>;
  end(): void;
  /**
   * Can be iterated once. The command is killed when the iteration ends.
   *
   * @throws Fault of the host, `HOST_UNREACHABLE`, `EXEC_INTERRUPTED`
   */
  readonly responses: AsyncGenerator<ExecMachineResponse>;
}

/** The part of hosts that runs commands. */
export interface ExecHosts {
  exec(host: HostAddress, caller: Caller): HostExec;
  listProcesses(host: HostAddress, target: Target, limits: CallLimits): Promise<readonly Process[]>;
}

/** @param streams connections that commands share with logs and waits, and not with starts */
export function execHosts(streams: Pick<Connections<HostServiceClient>, "at">): ExecHosts {
  return {
    exec(host, { org, signal }) {
      const client = streams.at(host.address);
      const scope = { timeoutMs: Number.POSITIVE_INFINITY, ...(signal ? { signal } : {}) };
      const duplex = openDuplex<HostRequest, HostResponse>(client, client.execMachine, scope);
      return {
        send: (request) => duplex.write({ org, request }),
        end: () => duplex.end(),
        responses: responsesOf(duplex, host, signal),
      };
    },
    async listProcesses(host, target, { signal, remainingMs = Number.POSITIVE_INFINITY }) {
      const client = streams.at(host.address);
      const scope = { timeoutMs: Math.min(LIST_TIMEOUT_MS, remainingMs), ...(signal ? { signal } : {}) };
      try {
        return (await call(client, client.listProcesses, target, scope)).processes;
      } catch (err) {
        throw signal?.aborted ? err : faultFromHost(err, host);
      }
    },
  };
}

async function* responsesOf(
  duplex: Duplex<HostRequest, HostResponse>,
  host: HostAddress,
  signal: AbortSignal | undefined,
): AsyncGenerator<ExecMachineResponse> {
  let isStarted = false;
  try {
    for await (const { response } of duplex.messages) {
      isStarted = true;
      if (response) yield response;
    }
  } catch (err) {
    if (signal?.aborted) throw err;
    const fault = faultFromHost(err, host);
    throw isStarted ? afterStart(fault, host) : fault;
  }
}

/** Converts the end of a connection: the command ran and is killed. A host that dies cancels its calls. */
function afterStart(fault: unknown, host: HostAddress): unknown {
  if (!(fault instanceof Fault)) return fault;
  if (fault.reason !== "HOST_UNREACHABLE" && fault.reason !== "CANCELLED") return fault;
  const message = `the command was killed: host ${host.name || host.number} has ended the stream`;
  return new Fault("UNAVAILABLE", "EXEC_INTERRUPTED", message, { host: host.name }, { cause: fault });
}
