import { ExecServiceClient, type Process } from "../../../../gen/windhover/machines/v1/exec.ts";
import { durationFromProto } from "../../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../../render/json.ts";
import { type Column, table } from "../../../render/table.ts";
import { megabytes, span } from "../../../render/time.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";

const COLUMNS: readonly Column[] = [
  { title: "PID", align: "right" },
  { title: "PARENT", align: "right", dropRank: 2 },
  { title: "CPU", align: "right" },
  { title: "RUNS FOR", align: "right", dropRank: 1 },
  { title: "MEMORY", align: "right" },
  { title: "LISTENS", min: 8 },
  { title: "COMMAND", min: 12 },
];

type SortKey = "pid" | "cpu" | "memory" | "time";
const BY: Readonly<Record<SortKey, (process: Process) => number>> = {
  pid: ({ pid }) => pid,
  cpu: ({ cpuTime }) => durationFromProto(cpuTime) ?? 0,
  memory: ({ residentBytes }) => Number(residentBytes),
  time: ({ runTime }) => durationFromProto(runTime) ?? 0,
};

export function defineProcesses(machine: HoverCommand): void {
  machine
    .leaf("ps [machine]", "Shows the processes of a machine, and where they listen")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("--sort-by <what>", `${Object.keys(BY).join(", ")} (default: pid)`)
    .option("--order <order>", "asc or desc (default: asc)")
    .examples("hover machine ps ID", "hover machine ps ID --sort-by memory --order desc")
    .runs<[string], AppFlag & { sortBy?: string; order?: string }>(
      async (session, [idOrName], { sortBy = "pid", order = "asc", ...flags }) => {
        const key = Object.hasOwn(BY, sortBy) ? BY[sortBy as SortKey] : undefined;
        if (!key) throw new UsageError(`--sort-by takes ${Object.keys(BY).join(", ")}; not "${sortBy}".`);
        if (order !== "asc" && order !== "desc") throw new UsageError("--order takes asc or desc.");
        const id = await machineId(session, await machinesClient(session), idOrName, flags);
        const client = await session.client(ExecServiceClient);
        const answer = await session.call(client, client.listProcesses, { machineId: id });
        const sign = order === "asc" ? 1 : -1;
        const processes = answer.processes.toSorted((a, b) => sign * (key(a) - key(b)));
        if (session.json) session.printJson(processes.map((process) => toJson(process)));
        else session.printLines(table(COLUMNS, processes.map(row), session.terminal.width));
      },
      aboutMachine,
    );
}

function row(process: Process): string[] {
  return [
    String(process.pid),
    String(process.parentPid),
    span(durationFromProto(process.cpuTime) ?? 0),
    span(durationFromProto(process.runTime) ?? 0),
    memoryText(Number(process.residentBytes)),
    process.listenSockets.map(({ protocol, address }) => `${address}/${protocol}`).join(", ") || "-",
    process.command,
  ];
}

function memoryText(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.round(bytes / 1_024)} KB` : megabytes(bytes / 1_048_576);
}
