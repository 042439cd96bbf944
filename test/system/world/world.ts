import { join } from "node:path";
import pg from "pg";
import { postgresUrl } from "../../../dev/services/postgres.ts";
import { DATABASE } from "../../../dev/services/services.ts";
import { type Clients, clientsOf } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";

/** A fleet with the `sim` VMM, an app, and an image in its registry: where system tests begin. */
export interface World {
  readonly fleet: TestFleet;
  readonly clients: Clients;
  readonly app: string;
  readonly image: string;
  /** Reads the central record. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Brings up services as processes; only the VMs are simulated. */
export async function openWorld(
  hosts = 2,
  environment: Readonly<Record<string, string>> = {},
  preload?: string,
): Promise<World> {
  const fleet = await startFleet({
    hosts,
    vmm: "sim",
    environment,
    ...(preload === undefined ? {} : { preload }),
  });
  const clients = clientsOf(fleet.api, fleet.token);
  const image = `${fleet.registry}/system/sample:1`;
  const content = buildImage({
    layers: [[{ path: "sample", content: "sample" }]],
    config: { Cmd: ["sim-run"] },
  });
  await pushImage(`http://${fleet.registry}`, "system/sample", "1", content);
  await clients.createApp("system");
  return {
    fleet,
    clients,
    app: "system",
    image,
    async sql<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const db = new pg.Client({ connectionString: postgresUrl(join(fleet.folder, "postgres"), DATABASE) });
      await db.connect();
      try {
        return (await db.query<Row>(text, [...values])).rows;
      } finally {
        await db.end();
      }
    },
    async close() {
      clients.close();
      await fleet.close();
    },
  };
}
