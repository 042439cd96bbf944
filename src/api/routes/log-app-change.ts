import type { Queries } from "../../lib/stores/postgres.ts";

/** Tells proxies, once the transaction has committed, that an app or its host names have changed. */
export async function logAppChange(tx: Queries, app: string): Promise<void> {
  await tx.query({
    name: "route_log_app",
    text: "insert into route_changes (app) values ($1)",
    values: [app],
  });
}
