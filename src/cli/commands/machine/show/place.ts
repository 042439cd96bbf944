import { PlatformServiceClient } from "../../../../gen/windhover/machines/v1/platform.ts";
import { toJson } from "../../../render/json.ts";
import { type Column, table } from "../../../render/table.ts";
import type { HoverCommand } from "../../command.ts";
import { amountMb, whole } from "../../values.ts";
import { type VmSize, vmSize } from "../config/vm-sizes.ts";

const COLUMNS: readonly Column[] = [
  { title: "REGION" },
  { title: "MACHINES", align: "right" },
  { title: "CREATES AT ONCE", align: "right" },
];

interface PlaceFlags {
  readonly region?: string;
  readonly count?: number;
  readonly vmSize?: VmSize;
  readonly vmMemory?: number;
  readonly vmCpus?: number;
  readonly vmCpuKind?: string;
}

export function definePlace(machine: HoverCommand): void {
  machine
    .leaf("place", "Shows where there is room for machines of a size, without placing any")
    .option("-r, --region <region>", "regions, as `machine run` takes them (default: all)")
    .option("--count <n>", "counts up to this many in each region (default: 1000)", whole(1, 10_000))
    .option("--vm-size <size>", "shared-cpu-1x ... performance-16x (default: shared-cpu-1x)", vmSize)
    .option("--vm-memory <amount>", "memory: 512, 512mb, 1gb", amountMb)
    .option("--vm-cpus <n>", "virtual CPUs", whole(1, 1_024))
    .option("--vm-cpu-kind <kind>", "shared or performance")
    .refuses("there are no volumes yet.", "--volume-name <name>", "--volume-size <gb>")
    .refuses("there are no GPUs.", "--vm-gpu-kind <kind>", "--vm-gpus <n>")
    .refuses("regions come in the order of -r, the nearest of a group first.", "--weights <weights>")
    .refuses("it is the token's organisation.", "-o, --org <slug>")
    .examples("hover machine place --vm-size performance-2x", "hover machine place -r eu --count 10")
    .runs<[], PlaceFlags>(async (session, _args, flags) => {
      const { cpuKind = "", cpus = 0, memoryMb = 0 } = flags.vmSize ?? {};
      const client = await session.client(PlatformServiceClient);
      const { regions } = await session.call(client, client.estimatePlacements, {
        guest: {
          cpuKind: flags.vmCpuKind ?? cpuKind,
          cpus: flags.vmCpus ?? cpus,
          memoryMb: flags.vmMemory ?? memoryMb,
        },
        region: flags.region ?? "",
        count: flags.count ?? 0,
      });
      if (session.json) return session.printJson(regions.map((region) => toJson(region)));
      const rows = regions.map(({ region, count, concurrency }) => [
        ...[region, String(count), String(concurrency)],
      ]);
      session.printLines(table(COLUMNS, rows, session.terminal.width));
    });
}
