import { ExecServiceClient, RunCommandRequest } from "../../src/gen/windhover/machines/v1/exec.ts";
import { call, connect } from "../../src/lib/grpc/client.ts";
import { type Run, timed } from "../lib/benchmark.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import { PROGRAM_PATH } from "../lib/program.ts";

/** With an argument, the program of the image ends at once. */
const TRUE = [PROGRAM_PATH, "true"];

/** Commands that end at once, one after the other, in a virtual machine. */
export async function measureExec(fleet: BenchFleet, run: Run): Promise<void> {
  const { clients, services } = fleet;
  const client = connect(ExecServiceClient, services.api, { token: () => services.token });
  const { id } = await fleet.create();
  await clients.start(id);
  const request = RunCommandRequest.fromPartial({ machineId: id, command: TRUE });
  const once = () =>
    timed(async () => {
      const { exitCode } = await call(client, client.runCommand, request, { timeoutMs: 30_000 });
      if (exitCode !== 0) throw new Error(`the command exited with ${exitCode}`);
    });
  run.report.addTimes({ exec_true: await run.repeat("commands", run.runs, once, 20) });
  client.close();
  await clients.destroy(id, true);
}
