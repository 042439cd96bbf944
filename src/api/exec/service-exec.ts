import type { ExecMachineRequest, ExecServiceServer } from "../../gen/windhover/machines/v1/exec.ts";
import { invalid } from "../../lib/faults/fault.ts";
import { untilDraining } from "../../lib/grpc/draining.ts";
import { bidiStream, unary } from "../../lib/grpc/server/rpc.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import { within } from "../../lib/runtime/wait.ts";
import { findHost } from "../machines/find-host.ts";
import type { HostDirectory } from "../machines/host-address.ts";
import type { MachineId } from "../machines/machine-id.ts";
import { parseMachineId } from "../machines/machine-id.ts";
import { authorize } from "../requests/authorize.ts";
import type { ExecHosts, HostExec } from "./exec-client.ts";
import { runCommand, startOf } from "./service-run-command.ts";

const FIRST_REQUEST_LIMIT_MS = 10_000;

/** Serves commands in machines. A machine's host runs them; the api only passes them on. */
export function execService(directory: HostDirectory, hosts: ExecHosts): ExecServiceServer {
  return {
    runCommand: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const id = machineIdFromProto(req.machineId);
      startOf(req);
      const host = await findHost(directory, id);
      const message = "the api is shutting down, and the command was killed";
      return untilDraining(ctx, message, (signal) =>
        runCommand(hosts.exec(host, { ...caller, signal }), req),
      );
    }),
    execMachine: bidiStream(async function* (requests, ctx) {
      const caller = authorize(ctx, "machines:write");
      const incoming = requests[Symbol.asyncIterator]();
      const first = await within(
        FIRST_REQUEST_LIMIT_MS,
        "the first request",
        () => incoming.next(),
        ctx.signal,
      );
      const request = first.done === true ? undefined : first.value;
      const id = machineIdFromProto(request?.machineId ?? "");
      const exec = hosts.exec(await findHost(directory, id), caller);
      void forward(exec, request, incoming).catch(() => exec.end());
      yield* exec.responses;
    }),
    listProcesses: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const id = machineIdFromProto(req.machineId);
      const target = { machineId: id, org: caller.org };
      return { processes: [...(await hosts.listProcesses(await findHost(directory, id), target, caller))] };
    }),
  };
}

/** Sends what the client sends, no faster than the host takes it. */
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

/** Parses a machine id and sets it on the call's span. */
function machineIdFromProto(text: string): MachineId {
  const id = parseMachineId(text);
  if (!id) {
    const description = text === "" ? "is required" : "must be 14 lower-case hex digits, e.g. 0000148ed5a2f3";
    throw invalid([{ field: "machine_id", description }]);
  }
  annotate(attribute.machineId, id);
  return id;
}
