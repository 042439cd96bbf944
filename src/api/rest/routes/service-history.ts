import { z } from "zod";
import { MachinesServiceService } from "../../../gen/windhover/machines/v1/machines.ts";
import { eventsToJson } from "../convert/convert-event.ts";
import { versionToJson } from "../convert/convert-machine.ts";
import { integer } from "../convert/fields.ts";
import type { JsonObject } from "../convert/json.ts";
import { type Route, route } from "../requests/route.ts";
import { machineWatch } from "../streams/service-watch.ts";

const TAG = "Machines";
const MACHINE = "/v1/apps/:app/machines/:id";
/** Pages are read until there are enough events that a REST client knows. */
const EVENTS = { usual: 20, most: 50, pages: 5 } as const;
const VERSIONS_PER_PAGE = 100;

export const historyRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: `${MACHINE}/events`,
    tag: TAG,
    summary: "Lists what happened to a machine, newest first.",
    description:
      "Without those of checks and readiness, which Fly does not have: `checks` and `ready` of the machine tell how it is. With `Accept: text/event-stream` it is `watch` instead: what happens from now on.",
    answer: "events",
    rpc: MachinesServiceService.listMachineEvents,
    sse: machineWatch,
    query: z.looseObject({ limit: integer().describe(`Default ${EVENTS.usual}, at most ${EVENTS.most}.`) }),
    async handle(request) {
      const { limit } = request.read().query;
      const pageSize = Math.min(limit || EVENTS.usual, EVENTS.most);
      const list = { machineId: await request.machineId(), pageSize, pageToken: "" };
      const events: JsonObject[] = [];
      let page = await request.unary(list);
      for (let pages = 1; ; pages += 1) {
        events.push(...eventsToJson(page.events));
        const isEnough = events.length >= pageSize || page.nextPageToken === "" || pages === EVENTS.pages;
        if (isEnough) return { body: events.slice(0, pageSize) };
        const next = { ...list, pageToken: page.nextPageToken };
        page = await request.also(MachinesServiceService.listMachineEvents, next);
      }
    },
  }),
  route({
    method: "GET",
    path: `${MACHINE}/versions`,
    tag: TAG,
    summary: "Lists the versions of a machine's configuration, newest first.",
    answer: "versions",
    rpc: MachinesServiceService.listMachineVersions,
    async handle(request) {
      const machineId = await request.machineId();
      const list = { machineId, pageSize: VERSIONS_PER_PAGE, pageToken: "" };
      const versions: JsonObject[] = [];
      let page = await request.unary(list);
      for (;;) {
        versions.push(...page.versions.map(versionToJson));
        if (page.nextPageToken === "") return { body: versions };
        const next = { ...list, pageToken: page.nextPageToken };
        page = await request.also(MachinesServiceService.listMachineVersions, next);
      }
    },
  }),
];
