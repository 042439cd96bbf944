import { z } from "zod";
import {
  MachinesServiceService,
  WatchMachinesRequest,
  type WatchMachinesResponse,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { eventToJson } from "../convert/convert-event.ts";
import { machineToJson } from "../convert/convert-machine.ts";
import { text } from "../convert/fields.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { requireOwnOrg } from "../requests/own-org.ts";
import { type Answer, type RestRequest, type Route, route } from "../requests/route.ts";
import { beginStream, SSE, SSE_TYPE, sseText } from "./sse.ts";

const TAG = "Streams";
const DESCRIPTION =
  "Server-sent events. Begins with what each machine is now; with the `Last-Event-ID` of an earlier stream it goes on after it, and nothing is lost.";
const query = z.looseObject({ after: text("The same as the header `Last-Event-ID`.") });

type Watch = RestRequest<WatchMachinesRequest, WatchMachinesResponse, typeof query>;
/** Selects the machines of a watch. */
type Selection = (request: Watch) => Promise<Partial<WatchMachinesRequest>> | Partial<WatchMachinesRequest>;

/** Selects the machine of the path. */
const oneMachine: Selection = async (request) => ({ machineIds: [await request.machineId()] });

/** What `GET .../events` is for a client that takes server-sent events. */
export const machineWatch = watchRoute("/v1/apps/:app/machines/:id/events", "a machine", oneMachine);

export const watchRoutes: readonly Route[] = [
  watchRoute("/v1/apps/:app/machines/:id/watch", "a machine", oneMachine),
  watchRoute("/v1/apps/:app/watch", "the machines of an app", (request) => ({ app: request.param("app") })),
  watchRoute("/v1/orgs/:org/watch", "all machines of an organisation", (request) => {
    requireOwnOrg(request, request.param("org"));
    return {};
  }),
];

function watchRoute(path: string, what: string, select: Selection): Route {
  return route({
    method: "GET",
    path,
    tag: TAG,
    summary: `Streams how ${what} changes.`,
    description: DESCRIPTION,
    answerType: "text/event-stream",
    rpc: MachinesServiceService.watchMachines,
    names: { after_position: "after" },
    timeoutMs: TIMEOUT_MS.none,
    query,
    async handle(request): Promise<Answer> {
      const { after = "" } = request.read().query;
      // A header without a value is none, as of a stream that has had no event yet.
      const afterPosition = String(request.arrived.headers["last-event-id"] || after);
      const watched = WatchMachinesRequest.fromPartial({ ...(await select(request)), afterPosition });
      const body = await beginStream(messages(request.stream(watched)), SSE);
      return { body, contentType: SSE_TYPE };
    },
  });
}

async function* messages(responses: AsyncIterable<WatchMachinesResponse>): AsyncGenerator<string> {
  for await (const { changes, position } of responses) {
    const texts = changes.map(({ machine, event }, i) =>
      sseText({
        // Only the last has the id: a client that resumes after a part of them would miss the rest.
        ...(i === changes.length - 1 ? { id: position } : {}),
        event: event?.type ?? "machine",
        data: {
          ...(machine ? { app: machine.app, machine: machineToJson(machine, { summary: true }) } : {}),
          ...(event ? { event: eventToJson(event) } : {}),
        },
      }),
    );
    yield texts.length > 0 ? texts.join("") : `id: ${position}\n\n`;
  }
}
