/**
 * Measures how fast a command runs in a started machine: in the VMM alone, and from a client's call
 * to its answer.
 *
 * `npm run bench -- exec [--runs N]`
 */
import { ExecServiceClient, RunCommandRequest } from "../src/gen/windhover/machines/v1/exec.ts";
import { call, connect } from "../src/lib/grpc/client.ts";
import { benchmark, timed } from "./lib/benchmark.ts";
import { BenchFleet } from "./lib/fleet.ts";
import { withVmm } from "./lib/launches.ts";
import { TRUE_PATH } from "./lib/program.ts";

const OUTPUT_BYTES = 8 * 1024 * 1024;

await benchmark(
  {
    name: "exec",
    title: "A command in a started machine",
    defaultRuns: 200,
    targets: { run_command: { p50: 60 } },
    floor: "vmm_exec",
  },
  async (run) => {
    await withVmm(run, "a VMM", {}, async ({ launch }) => {
      const { vm } = await launch(["sleep", "100000"]);
      const exec = async (argv: readonly string[]): Promise<number> => {
        let bytes = 0;
        const session = await vm.exec({ argv, env: {}, stdin: false }, run.signal);
        for await (const part of session.output) bytes += part.bytes.length;
        await session.ended;
        return bytes;
      };
      const once = () => timed(() => exec(["true"]));
      run.report.add("vmm_exec", "ms", await run.repeat("commands", run.runs, once, 10));
      const list = () => timed(() => vm.processes(run.signal));
      run.report.add(
        "vmm_processes",
        "ms",
        await run.repeat("lists of processes", run.scaled(4, 20), list, 2),
      );
      const flood = async () => {
        const ms = await timed(() => exec(["head", "-c", String(OUTPUT_BYTES), "/dev/zero"]));
        return OUTPUT_BYTES / 1024 / 1024 / (ms / 1_000);
      };
      run.report.add("vmm_output", "MB/s", await run.repeat("output", 5, flood, 1));
    });
    const options = { hosts: 1, vmm: "real" } as const;
    await run.with(
      "a fleet",
      () => BenchFleet.start(options, run.folder, false, run.signal),
      async (fleet) => {
        const { api, token } = fleet.services;
        const client = connect(ExecServiceClient, api, { token: () => token });
        const { id: machineId } = await fleet.create();
        await fleet.clients.start(machineId);
        const request = RunCommandRequest.fromPartial({ machineId, command: [TRUE_PATH] });
        const once = () => timed(() => call(client, client.runCommand, request, { timeoutMs: 60_000 }));
        run.report.add("run_command", "ms", await run.repeat("RunCommand", run.runs, once, 20));
        client.close();
      },
    );
  },
);
