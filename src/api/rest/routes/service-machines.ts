import { z } from "zod";
import type { MachineState } from "../../../gen/windhover/machines/v1/machine.ts";
import {
  CreateMachineRequest,
  ListMachinesRequest,
  MachinesServiceService,
  UpdateMachineRequest,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Violations } from "../../../lib/faults/violations.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { mapToProto } from "../../../lib/grpc/messages/maps.ts";
import { stateToProto } from "../../machines/convert-machine.ts";
import { MACHINE_STATES } from "../../machines/machine.ts";
import { durationMs } from "../convert/config/config-schema.ts";
import { machineToJson } from "../convert/convert-machine.ts";
import { durationOrSeconds, flag, queryFlag, repeated, text } from "../convert/fields.ts";
import type { JsonObject } from "../convert/json.ts";
import { requestIdOf } from "../requests/idempotency.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { type RestRequest, type Route, route } from "../requests/route.ts";
import { statesOf, wordsOf } from "../requests/states.ts";
import { launchFields, readLaunch } from "./read-launch.ts";
import { updateLeased } from "./service-leased-update.ts";
import { pagesToJson } from "./service-machine-pages.ts";

const TAG = "Machines";
/** Machines of a page. */
const PAGE = 500;
const METADATA = "metadata.";

const requestIdField = text("The same as an `Idempotency-Key`, which counts when both are there.");

const createBody = z.looseObject({ ...launchFields, request_id: requestIdField });

const updateBody = z.looseObject({
  ...launchFields,
  current_version: text("`instance_id` that the machine must have now."),
  request_id: requestIdField,
  launch: flag().describe("Starts a machine that does not run."),
  rollback: flag().describe("Goes back to the old version when the new one does not become ready."),
  ready_timeout: durationOrSeconds().describe("How long the new version must run to be ready."),
});

export const machineRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/apps/:app/machines",
    tag: TAG,
    summary: "Lists the machines of an app.",
    answer: "machines",
    rpc: MachinesServiceService.listMachines,
    names: { regions: "region", states: "state" },
    query: z.looseObject({
      include_deleted: queryFlag(),
      region: repeated("Regions, with commas."),
      state: repeated("States, with commas."),
      summary: queryFlag(),
      include_leases: queryFlag(),
      metadata: z
        .unknown()
        .optional()
        .meta({
          ...{ type: "object", additionalProperties: { type: "string" }, style: "deepObject", explode: true },
          description:
            "Selects machines with these entries: `metadata.{key}=value` or `metadata[key]=value`.",
        }),
    }),
    async handle(request) {
      const { query } = request.read();
      const summary = query.summary ?? false;
      const list = ListMachinesRequest.fromPartial({
        app: request.param("app"),
        ...filtersOf(query, query.include_deleted ?? false),
        pageSize: PAGE,
        full: !summary,
        fresh: true,
      });
      const options = { summary, lease: query.include_leases ?? false };
      const first = await request.unary(list);
      return { body: pagesToJson(request, list, first, options) };
    },
  }),
  route({
    method: "POST",
    path: "/v1/apps/:app/machines",
    tag: TAG,
    summary: "Creates a machine and starts it.",
    description: "An `Idempotency-Key` makes it safe to repeat: the same key gives the same machine.",
    answer: "machine",
    rpc: MachinesServiceService.createMachine,
    timeoutMs: TIMEOUT_MS.create,
    body: createBody,
    async handle(request) {
      const { config, body, warnings } = readLaunch(request, createBody);
      const { machine } = await request.unary(
        CreateMachineRequest.fromPartial({
          app: request.param("app"),
          config,
          name: body.name ?? "",
          region: body.region ?? "",
          skipLaunch: body.skip_launch ?? false,
          cordoned: body.skip_service_registration ?? false,
          requestId: requestIdOf(request.arrived.headers["idempotency-key"] || body.request_id),
          leaseTtl: leaseTtlOf(body.lease_ttl),
        }),
      );
      return { body: machine ? { ...machineToJson(machine), ...warnings } : {} };
    },
  }),
  route({
    method: "GET",
    path: "/v1/apps/:app/machines/:id",
    tag: TAG,
    summary: "Returns a machine.",
    answer: "machine",
    rpc: MachinesServiceService.getMachine,
    query: z.looseObject({ include_leases: queryFlag(), summary: queryFlag() }),
    async handle(request) {
      const { query } = request.read();
      const { machine } = await request.unary({ machineId: await request.machineId() });
      const options = { summary: query.summary ?? false, lease: query.include_leases ?? false };
      return { body: machine ? machineToJson(machine, options) : {} };
    },
  }),
  route({
    method: "POST",
    path: "/v1/apps/:app/machines/:id",
    tag: TAG,
    summary: "Updates a machine: replaces its configuration by a new version.",
    description:
      "An `Idempotency-Key` makes it safe to repeat: when the update was made, the same key answers the machine as it is.",
    answer: "machine",
    rpc: MachinesServiceService.updateMachine,
    // Of the lease that comes before the update.
    names: { ttl: "lease_ttl", nonce: "fly-machine-lease-nonce" },
    timeoutMs: TIMEOUT_MS.create,
    body: updateBody,
    async handle(request) {
      const { config, body, warnings } = readLaunch(request, updateBody, ["skip_service_registration"]);
      const machineId = await request.machineId();
      if (body.name || body.region) await requireSamePlace(request, machineId, body);
      const readyMs = durationMs(body.ready_timeout);
      const requestId = requestIdOf(request.arrived.headers["idempotency-key"] || body.request_id);
      const asked = { leaseSeconds: body.lease_ttl, requestId };
      const machine = await updateLeased(request, machineId, asked, (leaseNonce) =>
        request.unary(
          UpdateMachineRequest.fromPartial({
            machineId,
            config,
            currentVersion: body.current_version ?? "",
            skipLaunch: body.skip_launch ?? false,
            launch: body.launch ?? false,
            rollback: body.rollback ?? false,
            ...(readyMs === undefined ? {} : { readyTimeout: durationToProto(readyMs) }),
            ...{ leaseNonce, requestId },
          }),
        ),
      );
      return { body: machine ? { ...machineToJson(machine), ...warnings } : {} };
    },
  }),
  route({
    method: "DELETE",
    path: "/v1/apps/:app/machines/:id",
    tag: TAG,
    summary: "Destroys a machine.",
    description: "Refused with 412 while it runs, unless `force` or `kill` is set, in query or body.",
    answer: "ok",
    rpc: MachinesServiceService.destroyMachine,
    query: z.looseObject({ force: queryFlag(), kill: queryFlag() }),
    body: z.looseObject({ force: flag(), kill: flag() }),
    async handle(request) {
      const { query, body } = request.read();
      await request.unary({
        machineId: await request.machineId(),
        force: query.force || query.kill || body.force || body.kill || false,
        leaseNonce: request.leaseNonce,
      });
      return { body: { ok: true } };
    },
  }),
];

/**
 * Checks that an update changes neither name nor region: clients send both along.
 *
 * @throws Fault INVALID_FIELDS
 */
async function requireSamePlace(
  request: Pick<RestRequest<never, never>, "also">,
  machineId: string,
  { name, region }: { readonly name?: string | undefined; readonly region?: string | undefined },
): Promise<void> {
  const { machine } = await request.also(MachinesServiceService.getMachine, { machineId });
  const violations = new Violations();
  const says = (what: string | undefined) => `cannot be changed, and is ${JSON.stringify(what)}`;
  violations.check(!name || name === machine?.name, "name", says(machine?.name));
  const isThere = wordsOf(region).some((each) => each.toLowerCase() === machine?.region);
  violations.check(!region || isThere, "region", says(machine?.region));
  violations.throwIfAny();
}

/** Reads the filters of a list: `region`, `state`, `metadata.{key}`. @throws Fault INVALID_FIELDS */
export function filtersOf(
  query: JsonObject | Readonly<Record<string, unknown>>,
  includesDeleted: boolean,
): { readonly regions: string[]; readonly states: MachineState[]; readonly metadata: Map<string, string> } {
  const metadata = Object.entries(query).flatMap(([name, value]) =>
    name.startsWith(METADATA) ? [[name.slice(METADATA.length), lastOf(value)] as const] : [],
  );
  const states = statesOf(wordsOf(query["state"]));
  const all = includesDeleted && states.length === 0 ? [...MACHINE_STATES] : states;
  return {
    regions: wordsOf(query["region"]).map((region) => region.toLowerCase()),
    states: [...new Set(all)].map(stateToProto),
    metadata: mapToProto(Object.fromEntries(metadata)),
  };
}

function lastOf(value: unknown): string {
  return String(Array.isArray(value) ? value.at(-1) : (value ?? ""));
}

function leaseTtlOf(seconds: number | undefined) {
  return seconds ? durationToProto(seconds * 1_000) : undefined;
}
