import type { MachineVersion } from "../../../../gen/windhover/machines/v1/machines.ts";
import { toJson } from "../../../render/json.ts";
import { table } from "../../../render/table.ts";
import { ago } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { whole } from "../../values.ts";
import { guestText } from "../machine-text.ts";

const DEFAULT_LIMIT = 20;
const MAX_PAGE = 100;

export function defineVersions(machine: HoverCommand): void {
  machine
    .leaf("versions [machine]", "Shows the versions of a machine's configuration, newest first")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-n, --limit <n>", `how many (default: ${DEFAULT_LIMIT})`, whole(1, 10_000))
    .option("-d, --display-config", "show the configurations as well")
    .examples(
      "hover machine versions ID",
      "hover machine versions ID --json | jq .[1].config > old.json",
      "hover machine update ID --config old.json        goes back to that version",
    )
    .runs<[string], AppFlag & { limit?: number; displayConfig?: boolean }>(
      async (session, [idOrName], { limit = DEFAULT_LIMIT, displayConfig, ...flags }) => {
        const client = await machinesClient(session);
        const id = await machineId(session, client, idOrName, flags);
        const versions: MachineVersion[] = [];
        let pageToken = "";
        do {
          const pageSize = Math.min(MAX_PAGE, limit - versions.length);
          const request = { machineId: id, pageSize, pageToken };
          const page = await session.call(client, client.listMachineVersions, request);
          versions.push(...page.versions);
          pageToken = page.nextPageToken;
        } while (pageToken !== "" && versions.length < limit);
        if (session.json) return session.printJson(versions.map((version) => toJson(version)));
        session.printLines(versionLines(versions, session.terminal.width));
        if (!displayConfig) return;
        for (const { instanceId, config } of versions)
          session.printLines(["", instanceId, JSON.stringify(toJson(config), undefined, 2)]);
      },
      aboutMachine,
    );
}

function versionLines(versions: readonly MachineVersion[], width: number | undefined): readonly string[] {
  const now = Date.now();
  const columns = [
    ...["VERSION", "CREATED", "SIZE"].map((title) => ({ title })),
    { title: "IMAGE", min: 10, lose: "start" as const },
  ];
  const rows = versions.map(({ instanceId, config, createTime }) => [
    instanceId,
    ago(createTime, now),
    guestText(config?.guest),
    config?.image ?? "-",
  ]);
  return table(columns, rows, width);
}
