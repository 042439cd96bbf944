import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { ExecMachineRequest, ExecServiceClient } from "../../src/gen/windhover/machines/v1/exec.ts";
import { MachinesServiceClient, WatchMachinesRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { tokenMetadata } from "../../src/lib/auth/tokens.ts";
import { connect } from "../../src/lib/grpc/client.ts";
import type { Run } from "../lib/benchmark.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";

const WATCHES = 2_000;
const EXECS = 200;
const WATCHES_PER_CONNECTION = 100;
/** V8 collects what the opening left 8 s after it last collected, in two steps, and gives the memory back. */
const REST_MS = 30_000;
const SAMPLE_MS = 500;

/** The memory of an api with clients that wait: watches without changes, and commands that say nothing. */
export async function measureIdle(fleet: BenchFleet, run: Run): Promise<void> {
  const { services, clients } = fleet;
  const { id } = await fleet.create();
  await clients.start(id);
  const pid = services.pid("api") ?? 0;
  const before = residentMb(pid);
  const metadata = tokenMetadata(services.token);
  const connections = Array.from({ length: WATCHES / WATCHES_PER_CONNECTION }, () =>
    connect(MachinesServiceClient, services.api, { ownConnection: true }),
  );
  const watches = connections.flatMap((client) =>
    Array.from({ length: WATCHES_PER_CONNECTION }, () =>
      client.watchMachines(WatchMachinesRequest.fromPartial({ app: APP }), metadata),
    ),
  );
  const shells = [0, 1].map(() => connect(ExecServiceClient, services.api, { ownConnection: true }));
  const execs = Array.from({ length: EXECS }, (_, index) => {
    const stream = (shells[index % shells.length] ?? shells[0])?.execMachine(metadata);
    stream?.write(
      ExecMachineRequest.fromPartial({
        machineId: id,
        message: { $case: "start", value: { command: ["cat"], stdin: true } },
      }),
    );
    return stream;
  });
  const failures: string[] = [];
  for (const stream of [...watches, ...execs]) {
    stream?.on("error", (err: Error) => failures.push(err.message));
    stream?.resume();
  }
  let highest = 0;
  for (let ms = 0; ms < REST_MS; ms += SAMPLE_MS) {
    await delay(SAMPLE_MS, undefined, { signal: run.signal });
    highest = Math.max(highest, residentMb(pid));
  }
  run.report.add("idle_memory", "MB", [residentMb(pid)]);
  run.report.add("idle_memory_before", "MB", [before]);
  run.report.add("idle_memory_highest", "MB", [highest]);
  run.report.note(
    `idle_memory: the api's memory with ${WATCHES} watches and ${EXECS} commands that wait, ${REST_MS / 1_000} s after they were opened`,
  );
  if (failures.length > 0) run.report.fail(`idle_memory: ${failures.length} streams failed: ${failures[0]}`);
  for (const stream of [...watches, ...execs]) stream?.cancel();
  for (const client of [...connections, ...shells]) client.close();
  await clients.destroy(id, true);
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
}
