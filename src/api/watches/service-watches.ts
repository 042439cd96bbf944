import type {
  MachinesServiceServer,
  WatchMachinesRequest,
  MachineChange as WireChange,
} from "../../gen/windhover/machines/v1/machines.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { serverStream } from "../../lib/grpc/server/rpc.ts";
import { describedToProto, eventToProto } from "../machines/convert-machine.ts";
import { MACHINE_ID_FORM, parseMachineId } from "../machines/ids/machine-id.ts";
import { authorize } from "../requests/authorize.ts";
import { checkAppName } from "../requests/names.ts";
import type { LoggedChange, WatchFilter } from "./change-log.ts";
import { type Position, parsePosition, positionToText } from "./position.ts";
import { type WatchParts, watch } from "./watch.ts";

const MAX_MACHINES = 100;

export interface WatchServiceParts {
  readonly watches: WatchParts;
}

export function watchesService({ watches }: WatchServiceParts): Pick<MachinesServiceServer, "watchMachines"> {
  return {
    watchMachines: serverStream(async function* (req, ctx) {
      const { org } = authorize(ctx, "machines:read");
      const { filter, after } = watchFromProto(req, org);
      for await (const { changes, position } of watch(watches, filter, after, ctx.signal))
        yield { changes: changes.map(changeToProto), position: position ? positionToText(position) : "" };
    }),
  };
}

function watchFromProto(
  req: WatchMachinesRequest,
  org: string,
): { readonly filter: WatchFilter; readonly after: Position | undefined } {
  const violations = new Violations();
  const { machineIds, app } = req;
  violations.check(machineIds.length <= MAX_MACHINES, "machine_ids", `must be at most ${MAX_MACHINES}`);
  const areIds = machineIds.every((id) => parseMachineId(id) !== undefined);
  violations.check(areIds, "machine_ids", MACHINE_ID_FORM);
  if (app !== "") violations.add("app", checkAppName(app));
  const after = req.afterPosition === "" ? undefined : parsePosition(req.afterPosition);
  const isPosition = req.afterPosition === "" || after !== undefined;
  violations.check(isPosition, "after_position", "must be the position of an earlier response");
  violations.throwIfAny();
  const ids = machineIds.length > 0 ? new Set(machineIds) : undefined;
  return { filter: { org, app: app || undefined, machineIds: ids }, after };
}

function changeToProto({ machine, event }: Pick<LoggedChange, "machine" | "event">): WireChange {
  return {
    machine: describedToProto({ ...machine, events: [] }, "unknown"),
    event: event && eventToProto(event),
  };
}
