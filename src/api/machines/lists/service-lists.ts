import { createHash } from "node:crypto";
import { Machine } from "../../../gen/windhover/machines/v1/machine.ts";
import type {
  ListMachinesRequest,
  MachinesServiceServer,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Violations } from "../../../lib/faults/violations.ts";
import { mapFromProto } from "../../../lib/grpc/messages/maps.ts";
import { unary } from "../../../lib/grpc/server/rpc.ts";
import { authorize } from "../../requests/authorize.ts";
import { checkAppName } from "../../requests/names.ts";
import { readPage } from "../../requests/pages.ts";
import { checkStates, MAX_STATES } from "../check-states.ts";
import { checkMetadataFilter } from "../config/validate-metadata.ts";
import { listedToProto, machineToProto, stateFromProto } from "../convert-machine.ts";
import { MACHINE_STATES } from "../machine.ts";
import { FreshRead } from "./fresh.ts";
import { type ListParts, listMachines } from "./list-machines.ts";
import type { MachineFilter, MachineQuery } from "./list-store.ts";

const MAX_REGIONS = 64;
const REGION = /^[a-z0-9-]{1,63}$/;
const ORDERS = ["create_time", "update_time"] as const;
/** Events of a machine that GetMachine returns. */
const ALL_EVENTS = 20;

export function listsService(parts: ListParts): Pick<MachinesServiceServer, "listMachines"> {
  return {
    listMachines: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const filter = filterFromProto(req, caller.org);
      const events = req.full ? ALL_EVENTS : 1;
      const fresh = req.fresh ? new FreshRead(parts.freshHosts, caller, events) : undefined;
      const toProto = req.full ? machineToProto : listedToProto;
      const { items, nextPageToken } = await readPage(req, {
        name: nameOf(filter),
        keyForms: ["time", "uuid"],
        keysOf: ({ key }) => [key.time, key.createId],
        read: (after, limit) =>
          listMachines(parts, { ...filter, ...positionFromKeys(after), events, limit }, fresh),
        toProto: ({ machine, hostStatus }) => toProto(machine, hostStatus),
        bytesOf: (machine) => Machine.encode(machine).finish().length,
      });
      return { machines: items, nextPageToken, unansweredRegions: fresh?.unansweredRegions ?? [] };
    }),
  };
}

function filterFromProto(req: ListMachinesRequest, org: string): MachineFilter {
  const violations = new Violations();
  if (req.app !== "") violations.add("app", checkAppName(req.app));
  violations.check(req.states.length <= MAX_STATES, "states", `must have at most ${MAX_STATES} entries`);
  violations.check(req.regions.length <= MAX_REGIONS, "regions", `must have at most ${MAX_REGIONS} entries`);
  const areCodes = req.regions.every((region) => REGION.test(region));
  violations.check(areCodes, "regions", "must be codes of regions, e.g. ord");
  checkMetadataFilter(req.metadata, violations);
  const orderBy = ORDERS.find((order) => order === (req.orderBy || ORDERS[0]));
  violations.check(orderBy !== undefined, "order_by", `must be ${ORDERS.join(" or ")}`);
  const { updatedAfter } = req;
  const isTime = updatedAfter === undefined || !Number.isNaN(updatedAfter.getTime());
  violations.check(isTime, "updated_after", "must be a time of the years 1 to 9999");
  violations.throwIfAny();
  const asked = [...new Set(req.states.map(stateFromProto))];
  checkStates(asked, violations);
  violations.throwIfAny();
  return {
    org,
    ...(req.app === "" ? {} : { app: req.app }),
    states: asked.length > 0 ? asked : MACHINE_STATES.filter((state) => state !== "destroyed"),
    regions: [...new Set(req.regions)],
    metadata: mapFromProto(req.metadata),
    ...(updatedAfter ? { updatedAfter } : {}),
    orderBy: orderBy ?? ORDERS[0],
  };
}

/** Names a list with its filters, which its page tokens are bound to. */
function nameOf(filter: MachineFilter): string {
  const { states, regions, metadata, updatedAfter, ...rest } = filter;
  const parts = [
    Object.entries(rest).sort(),
    [...states].sort(),
    [...regions].sort(),
    Object.entries(metadata).sort(),
    updatedAfter?.getTime() ?? null,
  ];
  return `machines/${createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22)}`;
}

function positionFromKeys(keys: readonly string[] | undefined): Pick<MachineQuery, "after"> {
  const [time, createId] = keys ?? [];
  return time !== undefined && createId !== undefined ? { after: { time, createId } } : {};
}
