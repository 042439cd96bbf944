import pg from "pg";
import { ListMachinesRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Run, timed } from "../lib/benchmark.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";

const MACHINES = 10_000;

/** The first page of a list of 10,000 machines, over gRPC and REST. */
export async function measureLists(fleet: BenchFleet, run: Run): Promise<void> {
  const { clients, services } = fleet;
  const { id } = await fleet.create();
  await copyMachine(services.databaseUrl, id, MACHINES - 1);
  const { machines } = clients.raw;
  const request = ListMachinesRequest.fromPartial({ app: APP });
  const rest = `${services.rest}/v1/orgs/personal/machines?limit=100`;
  const headers = { authorization: `Bearer ${services.token}` };
  const once = async () => ({
    grpc: await timed(() => call(machines, machines.listMachines, request, { timeoutMs: 10_000 })),
    rest: await timed(async () => {
      const answer = await fetch(rest, { headers });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`the list answered ${answer.status}: ${text.slice(0, 200)}`);
    }),
  });
  const pages = await run.repeat("lists", run.scaled(5, 20), once, 10);
  run.report.addTimes({
    list_first_page: pages.map(({ grpc }) => grpc),
    list_first_page_rest: pages.map(({ rest: ms }) => ms),
  });
  run.report.note(`lists: 100 of ${MACHINES} machines`);
}

/** Copies a machine's row, with other ids and names. Its host has one of them only. */
async function copyMachine(url: string, id: string, count: number): Promise<void> {
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  try {
    await database.query(
      `insert into machines (create_id, id, org, app, name, region, memory_mb, host_number, state, generation, committed, snapshot)
       select gen_random_uuid(), copy.id, m.org, m.app, copy.id, m.region, m.memory_mb, m.host_number, 'stopped', m.generation, true,
              m.snapshot || jsonb_build_object('id', copy.id, 'name', copy.id, 'state', 'stopped')
         from machines m, lateral (
           select left(m.id, 5) || lpad(to_hex(n), 9, '0') as id from generate_series(1, $2::int) n
         ) copy where m.id = $1`,
      [id, count],
    );
    await database.query("analyze machines");
  } finally {
    await database.end();
  }
}
