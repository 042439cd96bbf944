import { z } from "zod";
import {
  MachinesServiceService,
  UpdateMetadataRequest,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { mapFromProto, mapToProto } from "../../../lib/grpc/messages/maps.ts";
import { needed, text } from "../convert/fields.ts";
import { isObject, type JsonObject } from "../convert/json.ts";
import { type RestRequest, type Route, route } from "../requests/route.ts";

const TAG = "Metadata";
const METADATA = "/v1/apps/:app/machines/:id/metadata";
const NO_CONTENT = 204;
const NAMES = { set: "metadata", remove: "metadata", current_version: "machine_version" } as const;

const several = z.looseObject({
  metadata: needed(
    z
      .unknown()
      .optional()
      .meta({
        ...{ type: "object", additionalProperties: { type: ["string", "null"] } },
        description: "Entries to set; null or an empty text removes one.",
      }),
  ),
  machine_version: text("`instance_id` that the machine must have now; otherwise 412."),
  updated_at: text("Taken, and not acted on."),
});

export const metadataRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: METADATA,
    tag: TAG,
    summary: "Returns the metadata of a machine.",
    answer: "metadata",
    rpc: MachinesServiceService.getMachine,
    async handle(request) {
      return { body: { ...(await metadataOf(request)) } };
    },
  }),
  ...(["PUT", "PATCH"] as const).map((method) =>
    route({
      method,
      path: METADATA,
      tag: TAG,
      summary: "Sets and removes entries of the metadata, without a restart.",
      rpc: MachinesServiceService.updateMetadata,
      names: NAMES,
      body: several,
      status: NO_CONTENT,
      async handle(request) {
        const { body } = request.read();
        const { set, remove } = entriesOf(body.metadata);
        await request.unary(
          UpdateMetadataRequest.fromPartial({
            machineId: await request.machineId(),
            ...{ set, remove },
            currentVersion: body.machine_version ?? "",
          }),
        );
        return {};
      },
    }),
  ),
  route({
    method: "GET",
    path: `${METADATA}/:key`,
    tag: TAG,
    summary: "Returns one entry of the metadata.",
    answer: "entry",
    rpc: MachinesServiceService.getMachine,
    async handle(request) {
      const value = (await metadataOf(request))[request.param("key")];
      if (value === undefined) {
        const message = `the machine has no metadata ${JSON.stringify(request.param("key"))}`;
        throw new Fault("NOT_FOUND", "METADATA_NOT_FOUND", message);
      }
      return { body: { value } };
    },
  }),
  route({
    method: "POST",
    path: `${METADATA}/:key`,
    tag: TAG,
    summary: "Sets one entry of the metadata.",
    rpc: MachinesServiceService.updateMetadata,
    names: NAMES,
    body: z.looseObject({ value: needed(text("An empty text removes the entry.")), updated_at: text() }),
    status: NO_CONTENT,
    async handle(request) {
      const { value } = request.read().body;
      // A slip of the pen must not remove the entry.
      if (!Object.hasOwn(request.arrived.body, "value"))
        throw invalid([{ field: "value", description: "is required; an empty text removes the entry" }]);
      await updateOne(request, value);
      return {};
    },
  }),
  route({
    method: "DELETE",
    path: `${METADATA}/:key`,
    tag: TAG,
    summary: "Removes one entry of the metadata.",
    rpc: MachinesServiceService.updateMetadata,
    names: NAMES,
    status: NO_CONTENT,
    async handle(request) {
      await updateOne(request, "");
      return {};
    },
  }),
];

async function metadataOf(
  request: RestRequest<
    { machineId: string },
    { machine: { config: { metadata: Map<string, string> } | undefined } | undefined }
  >,
): Promise<Record<string, string>> {
  const { machine } = await request.unary({ machineId: await request.machineId() });
  return mapFromProto(machine?.config?.metadata);
}

async function updateOne(
  request: Pick<RestRequest<UpdateMetadataRequest, unknown>, "machineId" | "param" | "unary">,
  value: string | undefined,
): Promise<void> {
  const key = request.param("key");
  await request.unary(
    UpdateMetadataRequest.fromPartial({
      machineId: await request.machineId(),
      ...(value ? { set: mapToProto({ [key]: value }) } : { remove: [key] }),
    }),
  );
}

/** @throws Fault INVALID_FIELDS */
function entriesOf(given: unknown): { readonly set: Map<string, string>; readonly remove: string[] } {
  const isNothing = given === undefined || given === null || (Array.isArray(given) && given.length === 0);
  const entries: JsonObject = isNothing ? {} : isObject(given) ? given : wrong();
  const violations = Object.entries(entries).flatMap(([key, value]) =>
    value === null || typeof value === "string"
      ? []
      : [{ field: `metadata.${key}`, description: "must be text" }],
  );
  if (Object.keys(entries).length === 0) {
    violations.push({
      field: "metadata",
      description: "is required: entries to set, or null to remove them",
    });
  }
  if (violations.length > 0) throw invalid(violations);
  const set = new Map<string, string>();
  const remove: string[] = [];
  for (const [key, value] of Object.entries(entries)) {
    if (typeof value === "string" && value !== "") set.set(key, value);
    else remove.push(key);
  }
  return { set, remove };
}

function wrong(): never {
  throw invalid([{ field: "metadata", description: "must be an object" }]);
}
