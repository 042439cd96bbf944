import type {
  ExecMachineRequest as HostRequest,
  HostServiceServer,
} from "../../gen/windhover/hostd/v1/hostd.ts";
import type { ExecMachineRequest } from "../../gen/windhover/machines/v1/exec.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import type { Revocations } from "../../lib/auth/revocations.ts";
import { requireGoodStanding } from "../../lib/auth/rpc-rules.ts";
import { bidiStream, unary } from "../../lib/grpc/server/rpc.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { TimeLimit, within } from "../../lib/runtime/wait.ts";
import { invalidState, type Machine, machineId } from "../machines/machine.ts";
import type { Machines } from "../operations/machines.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { Vm } from "../vmm/vmm.ts";
import { orderFromProto } from "./convert-exec.ts";
import { processToProto } from "./convert-processes.ts";
import { execFault, interrupted, tooManyExecs } from "./exec-faults.ts";
import { execCommand } from "./service-exec-command.ts";
import { ExecPaces } from "./service-exec-paces.ts";

/** Commands that one organisation runs on this host at once. */
const MAX_EXECS = 512;
/** Lists of processes that one organisation reads at once. */
const MAX_LISTS = 16;
const FIRST_REQUEST_LIMIT_MS = 10_000;
const LIST_LIMIT_MS = 15_000;

export interface ExecParts {
  readonly machines: Pick<Machines, "get" | "guarded" | "driver">;
  readonly revocations: Pick<Revocations, "isSuspended">;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly proxies: Pick<Proxies, "commandRuns">;
}

/** Serves commands in the machines of a host. */
export function execService({
  machines,
  revocations,
  clock,
  proxies,
}: ExecParts): Pick<HostServiceServer, "execMachine" | "listProcesses"> {
  const execs = new Concurrency(MAX_EXECS, (org, limit) => tooMany(org, limit, "commands"));
  const lists = new Concurrency(MAX_LISTS, (org, limit) => tooMany(org, limit, "lists of processes"));
  const paces = new ExecPaces({ clock });
  const vmOf = (machine: Machine, what: string): Vm => {
    const { vm } = machines.driver(machine.id).runtime;
    if (machine.state !== "started" || !vm) throw invalidState(machine, what);
    return vm;
  };
  return {
    execMachine: bidiStream(
      async function* (requests, ctx) {
        requireScope(ctx, "internal");
        const incoming = requests[Symbol.asyncIterator]();
        const first = await within(
          FIRST_REQUEST_LIMIT_MS,
          "the first request",
          () => incoming.next(),
          ctx.signal,
        );
        const { org = "", request } = first.done === true ? {} : first.value;
        const order = orderFromProto(request);
        const machine = machines.guarded(order.id, org, { nonce: order.leaseNonce });
        requireGoodStanding(machine.spec.org, revocations);
        const vm = vmOf(machine, "given a command");
        const release = execs.take(machine.spec.org);
        const ended = proxies.commandRuns(machine.id);
        const take = (message: Parameters<ExecPaces["take"]>[1]) =>
          paces.take(machine.spec.org, message, ctx.signal);
        const users = userRequests(incoming, take);
        try {
          const ends = { gone: ctx.signal, draining: ctx.draining };
          for await (const response of execCommand(vm, order, users, ends)) {
            yield { response };
            await take(response.message);
          }
        } finally {
          ended();
          release();
        }
      },
      { onDrain: "finish" },
    ),
    listProcesses: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const machine = machines.get(machineId(req.machineId), req.org);
      const vm = vmOf(machine, "asked for its processes");
      const release = lists.take(machine.spec.org);
      const late = () => interrupted(machine.id, "the guest did not answer in time");
      using limit = new TimeLimit(LIST_LIMIT_MS, ctx.signal, late);
      try {
        return { processes: (await vm.processes(limit.signal)).map(processToProto) };
      } catch (err) {
        throw execFault(err, machine.id);
      } finally {
        release();
      }
    }),
  };
}

/** Returns the requests of the user's client. @param taken called with each; the next one waits for it */
function userRequests(
  incoming: AsyncIterator<HostRequest>,
  taken: (message: ExecMachineRequest["message"]) => Promise<void>,
): AsyncIterator<ExecMachineRequest> {
  return {
    next: async () => {
      const next = await incoming.next();
      if (next.done === true) return next;
      const { request = { machineId: "", message: undefined } } = next.value;
      await taken(request.message);
      return { value: request };
    },
  };
}

function tooMany(org: string, limit: number, what: string) {
  const message = `organisation ${org} has ${limit} ${what} on this host already; end some first`;
  return tooManyExecs(message, { org, limit: String(limit) });
}
