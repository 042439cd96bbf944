import type { ExecMachineRequest, ExecServiceServer } from "../../gen/windhover/machines/v1/exec.ts";
import { untilDraining } from "../../lib/grpc/draining.ts";
import { bidiStream, unary } from "../../lib/grpc/server/rpc.ts";
import { within } from "../../lib/runtime/wait.ts";
import { atHost, type HostLookup } from "../machines/host/find-host.ts";
import { machineIdFromProto, machineRequest } from "../machines/machine-request.ts";
import { authorize } from "../requests/authorize.ts";
import type { ExecHosts, HostExec } from "./exec-client.ts";
import { checkRun, runCommand } from "./service-run-command.ts";

const FIRST_REQUEST_LIMIT_MS = 10_000;

/** Serves commands in machines. A machine's host runs them; the api only passes them on. */
export function execService(where: HostLookup, hosts: ExecHosts): ExecServiceServer {
  return {
    runCommand: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const [id] = machineRequest(req.machineId, (violations) => checkRun(req, violations));
      const message = "the api is shutting down, and the command was killed";
      return untilDraining(ctx, message, (signal) =>
        atHost(where, id, caller.org, "exec", (host) =>
          runCommand(hosts.exec(host, { ...caller, signal }), req),
        ),
      );
    }),
    execMachine: bidiStream(async function* (requests, ctx) {
      const caller = authorize(ctx, "machines:write");
      const incoming = requests[Symbol.asyncIterator]();
      const read = () => incoming.next();
      const first = await within(FIRST_REQUEST_LIMIT_MS, "the first request", read, ctx.signal);
      const request = first.done === true ? undefined : first.value;
      const id = machineIdFromProto(request?.machineId ?? "");
      const [started, responses] = await atHost(where, id, caller.org, "exec", async (host) => {
        const exec = hosts.exec(host, caller);
        void forward(exec, request, incoming).catch(() => exec.end());
        return [await exec.responses.next(), exec.responses] as const;
      });
      if (started.done !== true) yield started.value;
      yield* responses;
    }),
    listProcesses: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const id = machineIdFromProto(req.machineId);
      const target = { machineId: id, org: caller.org };
      const list = await atHost(where, id, caller.org, "list processes of", (host) =>
        hosts.listProcesses(host, target, caller),
      );
      return { processes: [...list] };
    }),
  };
}

/** Forwards the requests of the client, no faster than the host takes them. */
async function forward(
  exec: HostExec,
  first: ExecMachineRequest | undefined,
  rest: AsyncIterator<ExecMachineRequest>,
): Promise<void> {
  if (first) await exec.send(first);
  for (let next = await rest.next(); next.done !== true; next = await rest.next())
    await exec.send(next.value);
  exec.end();
}
