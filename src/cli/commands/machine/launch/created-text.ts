import type { Machine } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  CreateMachineResponse,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { toJson } from "../../../render/json.ts";
import { span as time } from "../../../render/time.ts";
import { EXIT } from "../../../session/report.ts";
import type { Session } from "../../../session/session.ts";
import { harmless } from "../../../session/terminal.ts";
import { addressText, startOutcome } from "../machine-text.ts";

/** Shows a machine that was created, and the commands that make sense next. */
export function showCreated(
  session: Session,
  { machine, repeated }: CreateMachineResponse,
  { skipLaunch, requestId }: CreateMachineRequest,
  traceId: string,
  ms: number,
): void {
  const outcome = machine && !skipLaunch ? startOutcome(machine) : { ok: true, text: "created" };
  if (!outcome.ok) session.exitCode = EXIT.failed;
  if (session.json) {
    session.printJson({
      id: machine?.id ?? null,
      machine: toJson(machine),
      repeated,
      request_id: requestId,
      trace_id: traceId,
      duration_ms: Number(ms.toFixed(3)),
    });
  } else if (machine) {
    const again = repeated ? "  (an earlier call with this request id had created it)" : "";
    const startPath = machine.lastStartPath === "" ? "" : ` (${machine.lastStartPath})`;
    session.printLines([
      `${machine.id} ${outcome.text} in ${time(ms)}${startPath}${again}`,
      `  name      ${harmless(machine.name)}`,
      `  host      ${machine.host}, region ${machine.region}`,
      ...(machine.serviceAddresses.length > 0 ? [`  address   ${addressText(machine)}`] : []),
    ]);
    session.suggest(...nextSteps(machine, outcome.ok, skipLaunch));
  }
}

function nextSteps({ id, serviceAddresses }: Machine, isOk: boolean, skipLaunch: boolean): string[] {
  if (!isOk) return [`hover machine logs ${id}`];
  if (skipLaunch) return [`hover machine start ${id}`];
  const tcp = serviceAddresses.find((address) => address.protocol === "tcp");
  return [
    ...(tcp ? [`curl http://${tcp.address}/`] : []),
    `hover machine logs ${id}`,
    `hover machine stop ${id}`,
    `hover trace ${id}`,
  ];
}
