import { z } from "zod";
import type { GuestConfig } from "../../../gen/windhover/machines/v1/machine.ts";
import {
  EstimatePlacementsRequest,
  PlatformServiceService,
} from "../../../gen/windhover/machines/v1/platform.ts";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { type ConfigJson, guestShape } from "../convert/config/config-schema.ts";
import { callerToJson, placementsToJson, regionsToJson } from "../convert/convert-platform.ts";
import { integer, needed, object, text } from "../convert/fields.ts";
import { requireOwnOrg } from "../requests/own-org.ts";
import { type Route, route } from "../requests/route.ts";

const TAG = "Platform";
const MAX_COUNT = 10_000;
const PERFORMANCE_1X = { cpuKind: "performance", cpus: 1, memoryMb: 2_048 };

export const platformRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/platform/regions",
    tag: TAG,
    summary: "Lists the regions.",
    answer: "regions",
    rpc: PlatformServiceService.listRegions,
    async handle(request) {
      return { body: regionsToJson(await request.unary({})) };
    },
  }),
  route({
    method: "POST",
    path: "/v1/platform/placements",
    tag: TAG,
    summary: "Tells how many machines of a size could be placed now.",
    answer: "placements",
    rpc: PlatformServiceService.estimatePlacements,
    names: { guest: "compute" },
    body: z.looseObject({
      org_slug: needed(text("The organisation.")),
      compute: object(guestShape).describe("Size of the machines. Default: performance-1x."),
      region: text("As in a create. Default: all."),
      count: integer(0, MAX_COUNT),
      volume_name: text("Taken, and not acted on."),
      volume_size_bytes: integer(),
      weights: z.unknown().optional().meta({ type: "object", description: "Taken, and not acted on." }),
    }),
    async handle(request) {
      const { body } = request.read();
      if (!body.org_slug) throw invalid([{ field: "org_slug", description: "is required" }]);
      requireOwnOrg(request, body.org_slug);
      const guest = guestFromJson(body.compute ?? {});
      return {
        body: placementsToJson(
          await request.unary(
            EstimatePlacementsRequest.fromPartial({
              guest,
              region: body.region ?? "",
              count: body.count ?? 0,
            }),
          ),
        ),
      };
    },
  }),
  route({
    method: "GET",
    path: "/v1/tokens/current",
    tag: "Tokens",
    summary: "Tells who calls.",
    answer: "tokens",
    rpc: PlatformServiceService.getCaller,
    async handle(request) {
      return { body: callerToJson(await request.unary({})) };
    },
  }),
];

/** @throws Fault `NOT_BUILT_YET` */
function guestFromJson({
  cpu_kind,
  cpus,
  memory_mb,
  ...more
}: NonNullable<ConfigJson["guest"]>): GuestConfig {
  if (more.gpu_kind || more.gpus) {
    const field = "compute.gpu_kind";
    throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", `${field}: GPUs are not built yet`, { fields: field });
  }
  if (!cpu_kind && !cpus && !memory_mb) return PERFORMANCE_1X;
  return { cpuKind: cpu_kind ?? "", cpus: cpus ?? 0, memoryMb: memory_mb ?? 0 };
}
