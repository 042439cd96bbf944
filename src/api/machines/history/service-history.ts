import { MachineEvent as WireEvent } from "../../../gen/windhover/machines/v1/machine.ts";
import {
  type MachinesServiceServer,
  MachineVersion as WireVersion,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { unary } from "../../../lib/grpc/server/rpc.ts";
import { authorize } from "../../requests/authorize.ts";
import type { Caller } from "../../requests/caller.ts";
import { timeToProto } from "../../requests/convert-time.ts";
import { readPage } from "../../requests/pages.ts";
import { configToProto } from "../config/convert-config.ts";
import { eventToProto } from "../convert-machine.ts";
import { timeOfUlid } from "../ids/ulids.ts";
import type { Machine, MachineEvent } from "../machine.ts";
import { machineIdFromProto } from "../machine-request.ts";
import type { Machines } from "../machines.ts";
import type { HistoryStore, MachineVersion } from "./history-store.ts";
import { mergeNewest } from "./merge-newest.ts";

const MAX_VERSIONS = 100;
const DEFAULT_VERSIONS = 20;
/** Time that a list waits for a host. */
const HOST_TIMEOUT_MS = 2_000;

/**
 * Serves events and versions of machines: from the database, and from hosts what they have not
 * reported yet.
 */
export function historyService(
  machines: Machines,
  history: HistoryStore,
): Pick<MachinesServiceServer, "listMachineEvents" | "listMachineVersions"> {
  return {
    listMachineEvents: unary(async (req, ctx) => {
      const id = machineIdFromProto(req.machineId);
      const { machine } = await machines.get(id, withHostTimeout(authorize(ctx, "machines:read")));
      const { items, nextPageToken } = await readPage(req, {
        name: `events/${id}`,
        keyForms: ["name"],
        keysOf: (event: MachineEvent) => [event.id],
        read: async ([before = ""] = [], limit) =>
          mergeNewest(machine.events, await history.events(id, before, limit), before, limit),
        toProto: eventToProto,
        bytesOf: (event) => WireEvent.encode(event).finish().length,
      });
      return { events: items, nextPageToken };
    }),
    listMachineVersions: unary(async (req, ctx) => {
      const id = machineIdFromProto(req.machineId);
      const { machine } = await machines.get(id, withHostTimeout(authorize(ctx, "machines:read")));
      const { pageToken, pageSize } = req;
      const { items, nextPageToken } = await readPage(
        { pageToken, pageSize: pageSize === 0 ? DEFAULT_VERSIONS : pageSize },
        {
          name: `versions/${id}`,
          keyForms: ["name"],
          keysOf: (version: MachineVersion) => [version.id],
          read: async ([before = ""] = [], limit) =>
            mergeNewest(presentVersion(machine), await history.versions(id, before, limit), before, limit),
          toProto: versionToProto,
          bytesOf: (version) => WireVersion.encode(version).finish().length,
        },
        MAX_VERSIONS,
      );
      return { versions: items, nextPageToken };
    }),
  };
}

function withHostTimeout(caller: Caller): Caller {
  const remainingMs = Math.min(caller.remainingMs ?? Number.POSITIVE_INFINITY, HOST_TIMEOUT_MS);
  return { ...caller, remainingMs };
}

/** Returns the present version; none for a machine that was stored before there were versions. */
function presentVersion({ instanceId = "", config, createTimeMs }: Machine): readonly MachineVersion[] {
  if (instanceId === "") return [];
  return [{ id: instanceId, config, createTimeMs: timeOfUlid(instanceId) ?? createTimeMs }];
}

function versionToProto({ id, config, createTimeMs }: MachineVersion): WireVersion {
  return { instanceId: id, config: configToProto(config), createTime: timeToProto(createTimeMs) };
}
