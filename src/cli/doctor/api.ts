import { type Host, HostsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import { AppsServiceClient } from "../../gen/windhover/machines/v1/apps.ts";
import type { Fault } from "../../lib/runtime/fault.ts";
import { toFault } from "../report.ts";
import type { Session } from "../session.ts";
import { tokenOf } from "../settings.ts";
import { isClosed, isDiskShort, schedulingName } from "../show/scheduling.ts";
import type { Check } from "./check.ts";

const TIMEOUT_MS = 5_000;

/** The api, the token, Postgres behind it, the hosts, and what their isolation is worth. */
export async function* checkApi(session: Session): AsyncGenerator<Check> {
  const { settings } = session;
  const up = `npm run up   (in ${settings.root})`;
  const api = `${settings.api.value} (from ${settings.api.from})`;
  const places = settings.tokenPlaces.map(({ place }) => place).join(", ");
  if (tokenOf(settings) === undefined) {
    yield { name: "token", status: "fail", detail: `none in ${places}`, fix: up };
    yield* skipped(["api", "postgres", "hosts", "isolation"], "without a token nothing can be asked");
    return;
  }

  // One call tells about three things: whether the api answers, whether it takes the token, and whether Postgres is behind it.
  const fault = await outcome(async () => {
    const client = await session.client(AppsServiceClient);
    await session.call(client, client.listApps, { pageSize: 1, pageToken: "" }, { timeoutMs: TIMEOUT_MS });
  });
  const isAway = fault?.reason === "PEER_UNAVAILABLE" || fault?.reason === "DEADLINE_EXCEEDED";
  if (isAway) {
    yield { name: "api", status: "fail", detail: `${api} does not answer`, fix: up };
    yield* skipped(["token", "postgres", "hosts", "isolation"], "the api does not answer");
    return;
  }
  yield { name: "api", status: "ok", detail: `answers at ${api}` };
  if (fault?.code === "UNAUTHENTICATED") {
    const detail = `from ${settings.tokenPlaces.at(-1)?.place}: ${fault.message}`;
    yield {
      name: "token",
      status: "fail",
      detail,
      fix: "check that WINDHOVER_DIR and WINDHOVER_TOKEN belong to this fleet",
    };
    yield* skipped(["postgres", "hosts", "isolation"], "the api does not take the token");
    return;
  }
  yield { name: "token", status: "ok", detail: `from ${settings.tokenPlaces.at(-1)?.place}` };
  yield postgres(fault, up);
  yield* hosts(session);
}

function postgres(fault: Fault | undefined, up: string): Check {
  const name = "postgres";
  if (!fault) return { name, status: "ok", detail: "the api reads its record" };
  if (fault.reason === "DATABASE_UNAVAILABLE") {
    const detail = "the api cannot reach it: machines start and stop, but none can be created or listed";
    return { name, status: "fail", detail, fix: up };
  }
  return { name, status: "fail", detail: `listing apps failed: ${fault.message} (${fault.reason})` };
}

async function* hosts(session: Session): AsyncGenerator<Check> {
  let list: readonly Host[] = [];
  const fault = await outcome(async () => {
    const client = await session.client(HostsServiceClient);
    list = (await session.call(client, client.listHosts, { region: "" }, { timeoutMs: TIMEOUT_MS })).hosts;
  });
  if (fault) {
    const isScope = fault.reason === "SCOPE_MISSING";
    const detail = isScope
      ? "this token may not list hosts (scope admin)"
      : `${fault.message} (${fault.reason})`;
    yield { name: "hosts", status: isScope ? "warn" : "fail", detail };
    yield* skipped(["isolation"], "hosts could not be listed");
    return;
  }
  yield attachment(list, session.settings.root);
  yield isolation(list);
}

function attachment(list: readonly Host[], root: string): Check {
  const name = "hosts";
  const attached = list.filter((host) => host.attached).length;
  if (attached === 0) {
    const detail =
      list.length === 0 ? "none has ever been attached" : `none of ${list.length} is attached to a scheduler`;
    return {
      name,
      status: "fail",
      detail,
      fix: `npm run up   (in ${root}); logs of scheduler and hostd say more`,
    };
  }
  const troubles = [
    ...list.filter((host) => !host.attached).map(away),
    ...list.filter((host) => host.attached).flatMap((host) => shut(host) ?? []),
  ];
  const of = attached < list.length ? `${attached} of ${list.length}` : `${attached}`;
  const [first] = troubles;
  if (!first) return { name, status: "ok", detail: `${of} attached` };
  const detail = [`${of} attached`, ...troubles.map(({ what }) => what)].join("; ");
  return { name, status: "warn", detail, fix: first.fix };
}

/** What keeps machines from a host, and what to do about it. */
interface Trouble {
  readonly what: string;
  readonly fix: string;
}

function away({ name, statusMessage }: Host): Trouble {
  const what = `${name}: ${statusMessage || "not attached"}`;
  return { what, fix: `hover host show ${name}; its hostd must run, and reach a scheduler` };
}

/** The gravest first: an operator's word was meant. */
function shut(host: Host): Trouble | undefined {
  const { name, scheduling } = host;
  if (isDiskShort(host)) {
    const free = `${host.diskFreeMb} MB free of which ${host.diskReserveMb} must stay`;
    const what = `${name} takes no new machines, its disk is all but full (${free})`;
    return { what, fix: `free space on ${name} where its HOSTD_DIR is; hover host show ${name}` };
  }
  if (host.backoffUntilTime) {
    const what = `${name} is passed over for refusing awards`;
    return { what, fix: `hover host show ${name}; its hostd's log says why it refused` };
  }
  if (!isClosed(scheduling)) return undefined;
  return { what: `${name} is ${schedulingName(scheduling)}`, fix: `hover host uncordon ${name}` };
}

function isolation(list: readonly Host[]): Check {
  const name = "isolation";
  const weak = list.filter((host) => host.isolation === "development").map((host) => host.name);
  if (weak.length === 0) return { name, status: "ok", detail: list.length === 0 ? "no hosts" : "hardware" };
  const reason = list.find((host) => host.isolation === "development")?.vmmReason ?? "";
  const detail = `development only on ${weak.join(", ")}: machines are emulated, which keeps nobody apart${reason ? ` (${reason})` : ""}`;
  return { name, status: "warn", detail, fix: "run trusted images only, or use hosts with KVM" };
}

function* skipped(names: readonly string[], why: string): Generator<Check> {
  for (const name of names) yield { name, status: "skip", detail: why };
}

async function outcome(ask: () => Promise<void>): Promise<Fault | undefined> {
  try {
    await ask();
    return undefined;
  } catch (err) {
    return toFault(err);
  }
}
