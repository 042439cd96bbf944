import { z } from "zod";
import { ListMachinesRequest, MachinesServiceService } from "../../../gen/windhover/machines/v1/machines.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { orgPageToJson } from "../convert/convert-machine.ts";
import { integer, queryFlag, repeated, text } from "../convert/fields.ts";
import { timeOf } from "../convert/time.ts";
import { requireOwnOrg } from "../requests/own-org.ts";
import { type Route, route } from "../requests/route.ts";
import { filtersOf } from "./service-machines.ts";

const PAGE = { usual: 100, most: 1_000 } as const;

export const orgRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/orgs/:org/machines",
    tag: "Organisations",
    summary: "Lists all machines of an organisation, those first that changed longest ago.",
    description: "`error_regions` names regions that did not answer; their machines are as last known.",
    answer: "orgMachines",
    rpc: MachinesServiceService.listMachines,
    names: { page_token: "cursor", regions: "region", states: "state" },
    query: z.looseObject({
      include_deleted: queryFlag(),
      region: repeated("Regions, with commas."),
      state: repeated("States, with commas."),
      summary: queryFlag(),
      updated_after: text("RFC 3339."),
      cursor: text("`next_cursor` of the page before."),
      limit: integer().describe(`Default ${PAGE.usual}, at most ${PAGE.most}. A page may have fewer.`),
    }),
    async handle(request) {
      const { query } = request.read();
      requireOwnOrg(request, request.param("org"));
      const page = await request.unary(
        ListMachinesRequest.fromPartial({
          ...filtersOf(query, query.include_deleted ?? false),
          pageSize: Math.min(query.limit || PAGE.usual, PAGE.most),
          pageToken: query.cursor ?? "",
          updatedAfter: updatedAfterOf(query.updated_after),
          orderBy: "update_time",
          full: !query.summary,
          fresh: true,
        }),
      );
      return { body: orgPageToJson(page, query.summary) };
    },
  }),
];

/** @throws Fault INVALID_FIELDS */
function updatedAfterOf(text: string | undefined): Date | undefined {
  if (!text) return undefined;
  const time = text.includes("T") ? timeOf(text) : undefined;
  if (time) return time;
  throw invalid([{ field: "updated_after", description: "must be a time such as 2026-11-29T12:00:00Z" }]);
}
