/** Makes load in a process of its own, so that its work is not the benchmark's. */
import pMap from "p-map";
import { type Clients, clientsOf, configOf } from "../../test/support/clients.ts";
import { serve } from "../lib/child.ts";
import { startUnwatched } from "../lib/fleet.ts";

/** Calls to make, `atOnce` at a time. */
export type LoadJob = { readonly atOnce: number } & (
  | { readonly kind: "create"; readonly app: string; readonly image: string; readonly count: number }
  | { readonly kind: "start" | "stop" | "destroy"; readonly ids: readonly string[] }
);

export type LoadFunctions = typeof functions;

const TIMEOUT_MS = 60_000;
const OPERATIONS = {
  start: (clients: Clients, id: string) => startUnwatched(clients, id),
  stop: (clients: Clients, id: string) => clients.stop(id),
  destroy: (clients: Clients, id: string) => clients.destroy(id, true),
};

let clients: Clients | undefined;
const functions = {
  connect(api: string, token: string): void {
    clients = clientsOf(api, token);
  },
  /** Returns the times of the calls and of all together, and the ids of created machines. */
  async run(job: LoadJob) {
    if (!clients) throw new Error("connect comes first");
    const to = clients;
    const ids: string[] = [];
    const ms: number[] = [];
    const items: readonly string[] = job.kind === "create" ? Array<string>(job.count).fill("") : job.ids;
    const startedAt = performance.now();
    const once = async (id: string) => {
      const at = performance.now();
      if (job.kind === "create") ids.push(await create(to, job.app, job.image));
      else await OPERATIONS[job.kind](to, id);
      ms.push(performance.now() - at);
    };
    await pMap(items, once, { concurrency: job.atOnce });
    return { ms, wallMs: performance.now() - startedAt, ids };
  },
};
serve(functions);

async function create(to: Clients, app: string, image: string): Promise<string> {
  return (await to.create({ app, config: configOf(image), skipLaunch: true }, TIMEOUT_MS)).id;
}
