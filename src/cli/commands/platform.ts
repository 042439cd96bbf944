import { PlatformServiceClient } from "../../gen/windhover/machines/v1/platform.ts";
import { toJson } from "../render/json.ts";
import { type Column, table } from "../render/table.ts";
import { megabytes } from "../render/time.ts";
import type { Session } from "../session/session.ts";
import type { HoverCommand } from "./command.ts";
import { SIZES } from "./machine/config/vm-sizes.ts";

const REGION_COLUMNS: readonly Column[] = [
  { title: "CODE" },
  { title: "NAME", min: 12 },
  { title: "GROUP" },
  { title: "" },
];
const SIZE_COLUMNS: readonly Column[] = [
  { title: "NAME" },
  { title: "CPU KIND" },
  { title: "CPUS", align: "right" },
  { title: "MEMORY", align: "right" },
];

export function definePlatform(platform: HoverCommand): void {
  platform
    .leaf("regions", "Lists the regions in which machines are placed")
    .examples("hover platform regions")
    .runs(showRegions);
  platform
    .leaf("vm-sizes", "Lists the sizes that --vm-size takes")
    .examples("hover platform vm-sizes")
    .runs(showSizes);
}

async function showRegions(session: Session): Promise<void> {
  const client = await session.client(PlatformServiceClient);
  const { regions, nearest } = await session.call(client, client.listRegions, {});
  if (session.json) {
    session.printJson(
      regions.map((region) => ({ ...Object(toJson(region)), nearest: region.code === nearest })),
    );
    return;
  }
  const rows = regions.map(({ code, name, group }) => [
    ...[code, name, group || "-", code === nearest ? "nearest" : ""],
  ]);
  session.printLines(table(REGION_COLUMNS, rows, session.terminal.width));
}

async function showSizes(session: Session): Promise<void> {
  const sizes = [...SIZES].map(([name, size]) => ({ name, ...size }));
  if (session.json) return session.printJson(sizes.map((size) => toJson(size)));
  const rows = sizes.map(({ name, cpuKind, cpus, memoryMb }) => [
    ...[name, cpuKind, String(cpus), megabytes(memoryMb)],
  ]);
  session.printLines(table(SIZE_COLUMNS, rows, session.terminal.width));
}
