import { z } from "zod";
import { ListMachinesRequest, MachinesServiceService } from "../../../gen/windhover/machines/v1/machines.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { orgMachineToJson } from "../convert/convert-machine.ts";
import { integer, queryFlag, repeated, text } from "../convert/fields.ts";
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
          updatedAfter: timeOf(query.updated_after),
          orderBy: "update_time",
          full: !query.summary,
          fresh: true,
        }),
      );
      const last = page.machines.at(-1);
      return {
        body: {
          machines: page.machines.map((machine) => orgMachineToJson(machine, query.summary ?? false)),
          ...(page.nextPageToken === "" ? {} : { next_cursor: page.nextPageToken }),
          ...(last ? { last_machine_id: last.id } : {}),
          ...(last?.updateTime ? { last_updated_at: last.updateTime.toISOString() } : {}),
          error_regions: page.unansweredRegions,
        },
      };
    },
  }),
];

/** @throws Fault INVALID_FIELDS */
function timeOf(text: string | undefined): Date | undefined {
  if (!text) return undefined;
  // A plus that is not escaped arrives as a space.
  const written = text.replace(/ (?=\d\d:\d\d$)/, "+");
  const time = new Date(written);
  if (!/^\d{4}-\d\d-\d\dT/.test(written) || Number.isNaN(time.getTime()))
    throw invalid([{ field: "updated_after", description: "must be a time such as 2026-11-29T12:00:00Z" }]);
  return time;
}
