import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { FunctionFleet } from "./fleet.ts";
import { Functions, type ServerSettings } from "./functions-server.ts";
import { httpServer } from "./http.ts";

/** Also without a change: a function may have been deployed before its app was watched. */
const REFRESH_EVERY_MS = 5_000;
/** Many changes come together. */
const GATHER_MS = 100;

/** Serves functions until the signal aborts; then runs that go on are finished. */
export async function serve(
  fleet: FunctionFleet,
  settings: ServerSettings,
  listen: { readonly host: string; readonly port: number },
  signal: AbortSignal,
  log: (entry: object) => void,
): Promise<void> {
  const functions = new Functions(fleet, settings, log);
  const server = httpServer(functions, log);
  server.listen(listen.port, listen.host);
  await once(server, "listening");
  log({ message: "listening", ...listen, port: (server.address() as { port: number }).port });
  const watching = [follow(fleet, functions, signal, log), poll(functions, signal, log)];
  if (!signal.aborted) await once(signal, "abort");
  server.close();
  server.closeIdleConnections();
  await Promise.all([once(server, "close"), ...watching]);
}

/** Refreshes when a machine changes. */
async function follow(
  fleet: FunctionFleet,
  functions: Functions,
  signal: AbortSignal,
  log: (entry: object) => void,
) {
  while (!signal.aborted) {
    try {
      for await (const _ of fleet.changes(signal)) {
        await delay(GATHER_MS, undefined, { signal });
        await functions.refresh();
      }
    } catch (err) {
      if (!signal.aborted) log({ message: "the watch of machines has ended", error: String(err) });
    }
    await delay(REFRESH_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function poll(functions: Functions, signal: AbortSignal, log: (entry: object) => void): Promise<void> {
  while (!signal.aborted) {
    await functions
      .refresh()
      .catch((err: unknown) => log({ message: "the list of machines failed", error: String(err) }));
    await delay(REFRESH_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}
