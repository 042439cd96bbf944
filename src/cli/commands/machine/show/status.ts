import { HostStatus, type Lease, type Machine } from "../../../../gen/windhover/machines/v1/machine.ts";
import { toJson } from "../../../render/json.ts";
import { ago, count } from "../../../render/time.ts";
import { harmless, type Paint } from "../../../session/terminal.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { addressText, checkTable, eventTable, guestText, readyText, stateText } from "../machine-text.ts";
import { serviceTable } from "../service-text.ts";

export function defineStatus(machine: HoverCommand): void {
  machine
    .leaf("status [machine]", "Shows a machine and its last events")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-d, --display-config", "show its configuration as well")
    .examples("hover machine status ID", "hover machine status ID --json | jq .config > machine.json")
    .runs<[string], AppFlag & { displayConfig?: boolean }>(async (session, [idOrName], flags) => {
      const client = await machinesClient(session);
      const id = await machineId(session, client, idOrName, flags);
      const { machine } = await session.call(client, client.getMachine, { machineId: id });
      if (session.json) return session.printJson(toJson(machine));
      if (!machine) return;
      const { paint, width } = session.terminal;
      session.printLines(factLines(machine, paint));
      const services = machine.config?.services ?? [];
      if (services.length > 0) session.printLines(["", ...serviceTable(services, width)]);
      if (machine.checks.length > 0) session.printLines(["", ...checkTable(machine.checks, width)]);
      if (machine.events.length > 0) session.printLines(["", ...eventTable(machine.events, width)]);
      if (!flags.displayConfig || !machine.config) return;
      session.printLines(["", "CONFIG", JSON.stringify(toJson(machine.config), undefined, 2)]);
    }, aboutMachine);
}

/** `held by ci, expires in 25s: nightly backup`. */
function leaseText({ owner, expireTime, description }: Lease, now: number): string {
  const what = description === "" ? "" : `: ${description}`;
  return harmless(`held by ${owner}, expires ${ago(expireTime, now)}${what}`);
}

function restartLines({ restartCount, nextStartTime }: Machine, now: number): [string, string][] {
  const next = nextStartTime ? `next start ${ago(nextStartTime, now)}` : "";
  const parts = [restartCount > 0 ? `restarted ${count(restartCount, "time")}` : "", next];
  const text = parts.filter((part) => part !== "").join(", ");
  return text === "" ? [] : [["restarts", text]];
}

/** How long its program is busy, and when its run ends in any case. */
function limitLines({ busyUntilTime, lifetimeEndTime }: Machine, now: number): [string, string][] {
  return [
    ...(busyUntilTime ? [["busy", `ends ${ago(busyUntilTime, now)}`] satisfies [string, string]] : []),
    ...(lifetimeEndTime
      ? [["ends", `${ago(lifetimeEndTime, now)}, by its max_lifetime`] satisfies [string, string]]
      : []),
  ];
}

function factLines(machine: Machine, paint: Paint): string[] {
  const now = Date.now();
  const { imageRef: ref, hostStatus, lastStartPath } = machine;
  const note =
    hostStatus === HostStatus.UNREACHABLE
      ? "  (the host does not answer; the state is the last one stored)"
      : hostStatus === HostStatus.UNKNOWN
        ? "  (from the database; the host was not asked)"
        : "";
  const facts: [string, string][] = [
    ["id", machine.id],
    ["name", harmless(machine.name)],
    ["state", stateText(machine.state, paint) + note],
    ["ready", readyText(machine)],
    ["app", `${machine.app}  (organisation ${machine.org || "unknown"})`],
    ["host", `${machine.host || "-"}  (region ${machine.region || "-"})`],
    ["image", harmless(machine.config?.image ?? "-")],
    ...(ref ? [["", paint.dim(ref.digest)] satisfies [string, string]] : []),
    ["size", guestText(machine.config?.guest)],
    ["address", addressText(machine)],
    ["version", machine.instanceId || "-"],
    ...(machine.lease ? [["lease", leaseText(machine.lease, now)] satisfies [string, string]] : []),
    ...(machine.cordoned ? [["cordoned", "proxies send it no requests"] satisfies [string, string]] : []),
    ...restartLines(machine, now),
    ...limitLines(machine, now),
    ["created", ago(machine.createTime, now)],
    ["changed", `${ago(machine.updateTime, now)}  (generation ${machine.generation})`],
    ["last start", lastStartPath === "" ? "never" : `${lastStartPath}  (hover trace ${machine.id})`],
  ];
  return facts.map(([name, value]) => `${name.padEnd(12)}${value}`);
}
