import type {
  ExecMachineRequest,
  Hold,
  HostServiceServer,
  StreamLogsRequest,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { Machine } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { bidiStream, type CallContext, serverStream, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import type { HostParts } from "./parts.ts";

interface ReadHost {
  readonly number: number;
  readonly name: string;
  readonly identity: string;
  readonly address: string;
  readonly machines: ReadonlyMap<string, Machine>;
  readonly lines: readonly string[];
  readonly outboxSequence: bigint;
  readonly outboxAcknowledged: bigint;
}

/** Serves the calls that read machines, what runs in them and the host. */
export function readMethods({ host, act, find }: HostParts<ReadHost>) {
  async function* exec(requests: AsyncIterable<ExecMachineRequest>, ctx: CallContext): AsyncGenerator<never> {
    for await (const { org, request } of requests) {
      await act(ctx, "execMachine", request?.machineId ?? "", () => find(request?.machineId ?? "", org));
      throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", "no program runs here");
    }
  }

  async function* logs({ machineId, org, follow, afterSequence }: StreamLogsRequest, ctx: CallContext) {
    await act(ctx, "streamLogs", machineId, () => find(machineId, org));
    const line = { time: new Date(), stream: "stdout" };
    const entries = host.lines.map((text, i) => ({ ...line, text, sequence: BigInt(i + 1) }));
    const position = BigInt(entries.length);
    yield { entries: entries.filter(({ sequence }) => sequence > afterSequence), position };
    if (follow) await new Promise<void>((resolve) => ctx.signal.addEventListener("abort", () => resolve()));
  }

  return {
    getMachine: unary(({ machineId, org }, ctx) =>
      act(ctx, "getMachine", machineId, () => ({ machine: find(machineId, org) })),
    ),
    getMachines: unary(({ machineIds }, ctx) =>
      act(ctx, "getMachines", "", () => ({
        machines: machineIds
          .flatMap((id) => host.machines.get(id) ?? [])
          .map((machine) => ({ ...machine, config: undefined, events: machine.events.slice(0, 1) })),
      })),
    ),
    listMachines: unary((_, ctx) =>
      act(ctx, "listMachines", "", () => ({
        machines: [...host.machines.values()],
        nextPageToken: "",
      })),
    ),
    listProcesses: unary(({ machineId, org }, ctx) =>
      act(ctx, "listProcesses", machineId, () => {
        find(machineId, org);
        return { processes: [] };
      }),
    ),
    execMachine: bidiStream(exec),
    streamLogs: serverStream(logs),
    getHost: unary((_, ctx) =>
      act(ctx, "getHost", "", () => ({
        info: {
          number: host.number,
          name: host.name,
          identity: host.identity,
          region: "ord",
          zone: "a",
          address: host.address,
          capacity: undefined,
          vmm: "fake",
          acceleration: "none",
          isolation: "development",
          vmmReason: "",
          labels: new Map<string, string>(),
        },
        status: undefined,
        holds: [] as Hold[],
        outboxSequence: host.outboxSequence,
        outboxAcknowledged: host.outboxAcknowledged,
      })),
    ),
  } satisfies Partial<HostServiceServer>;
}
