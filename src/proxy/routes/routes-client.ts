import { RoutesServiceClient, type WatchRoutesResponse } from "../../gen/windhover/admin/v1/routes.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { connect, openStream } from "../../lib/grpc/client.ts";
import { backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep, TimeLimit } from "../../lib/runtime/wait.ts";
import { changeFromProto } from "./convert-routes.ts";
import type { RouteTable } from "./route-table.ts";
import type { Routes, RoutesChange } from "./routes.ts";

const RETRY = { firstMs: 100, maxMs: 3_000 };
/** grpc-js waits for ever for a peer that accepts and then says nothing. */
const FIRST_MESSAGE_MS = 15_000;

export interface FollowRoutesParts {
  /** Asked in turn. */
  readonly apis: readonly string[];
  readonly token: TokenSource;
  readonly table: RouteTable;
  /** Called after each change of the table. */
  readonly changed: () => void;
  readonly signal: AbortSignal;
}

/** Follows the routes, until `signal` aborts. Without any api the table stays as it is. */
export async function followRoutes(parts: FollowRoutesParts): Promise<void> {
  const { apis, signal } = parts;
  let failures = 0;
  for (let turn = 0; !signal.aborted; turn++) {
    const address = apis[turn % apis.length] ?? "";
    try {
      await follow(address, parts, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      logger.debug("an api does not tell the routes", { address, error });
    }
    // Each api has had its turn before the pause grows.
    await sleep(backoffMs(RETRY, Math.floor(failures++ / apis.length)), signal);
  }
}

async function follow(address: string, parts: FollowRoutesParts, heard: () => void): Promise<void> {
  const { token, table, changed } = parts;
  const client = connect(RoutesServiceClient, address, { token });
  using limit = new TimeLimit(FIRST_MESSAGE_MS, parts.signal);
  const within = new AbortController();
  const signal = AbortSignal.any([parts.signal, within.signal]);
  const silent = () => within.abort(limit.signal.reason);
  limit.signal.addEventListener("abort", silent, { once: true });
  try {
    const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    const request = { afterPosition: table.position };
    const taker = new RoutesTaker(table);
    for await (const message of openStream(client, client.watchRoutes, request, scope)) {
      limit.signal.removeEventListener("abort", silent);
      heard();
      if (taker.take(message)) changed();
    }
  } finally {
    client.close();
  }
}

/** Takes the messages of one watch into a table. */
class RoutesTaker {
  readonly #table: RouteTable;
  /** Parts of a table that is to replace what is known, until the last has come. */
  #staged: RoutesChange[] | undefined;

  constructor(table: RouteTable) {
    this.#table = table;
  }

  /** @returns whether the table has changed */
  take(message: WatchRoutesResponse): boolean {
    const change = changeFromProto(message);
    if (message.beginsAnew) this.#staged = [];
    if (!this.#staged) {
      this.#table.apply(change);
      return true;
    }
    this.#staged.push(change);
    if (change.position === "") return false;
    const staged = this.#staged;
    this.#staged = undefined;
    this.#table.replace(merged(staged, change.position));
    return true;
  }
}

/** Joins the parts of a table. The last word on each counts. */
function merged(parts: readonly RoutesChange[], position: string): Routes {
  const apps = new Map<string, Routes["apps"][number]>();
  const machines = new Map<string, Routes["machines"][number]>();
  for (const part of parts) {
    for (const name of part.goneApps) apps.delete(name);
    for (const id of part.goneMachines) machines.delete(id);
    for (const app of part.apps) apps.set(app.name, app);
    for (const machine of part.machines) machines.set(machine.id, machine);
  }
  const hosts = parts.flatMap((part) => part.hosts);
  return { position, apps: [...apps.values()], machines: [...machines.values()], hosts };
}
