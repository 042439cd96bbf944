import { Pool } from "undici";
import { type Run, timed } from "../lib/benchmark.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";

/** Starts over gRPC and over REST by turns, of one machine, both with the start watch of 5 ms. */
export async function measureRest(fleet: BenchFleet, run: Run): Promise<void> {
  const { clients, services } = fleet;
  const { id } = await fleet.create();
  // One connection, as a client has it.
  const pool = new Pool(services.rest, { connections: 1 });
  const once = async () => {
    const grpc = await timed(() => clients.start(id));
    await clients.stop(id);
    const rest = await timed(() => post(pool, `/v1/apps/${APP}/machines/${id}/start`, services.token));
    await clients.stop(id);
    return { grpc, rest };
  };
  const pairs = await run.repeat("starts over gRPC and REST", run.runs, once, run.runs);
  run.report.addTimes({
    start_grpc: pairs.map(({ grpc }) => grpc),
    start_rest: pairs.map(({ rest }) => rest),
    rest_adds: pairs.map(({ grpc, rest }) => rest - grpc),
  });
  run.report.note("rest_adds: the difference of two starts that follow each other");
  await pool.close();
  await clients.destroy(id, true);
}

async function post(pool: Pool, path: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { statusCode, body } = await pool.request({ method: "POST", path, headers });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`POST ${path} answered ${statusCode}: ${text.slice(0, 200)}`);
}
