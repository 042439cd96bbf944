import type { Host } from "../../../gen/windhover/admin/v1/hosts.ts";
import { AppsServiceClient } from "../../../gen/windhover/machines/v1/apps.ts";
import type { Fault } from "../../../lib/faults/fault.ts";
import { schedulingName } from "../../render/names.ts";
import { toFault } from "../../session/report.ts";
import type { Session } from "../../session/session.ts";
import { tokenOf } from "../../session/settings.ts";
import { allHosts } from "../host/all-hosts.ts";
import { isClosed, isDiskShort } from "../host/host-text.ts";
import { type Check, skipped, upCommand, WRONG_TOKEN_FIX } from "./check.ts";

const TIMEOUT_MS = 5_000;

/** Checks the API, the token, Postgres behind the API, the hosts and their isolation. */
export async function* checkApi(session: Session): AsyncGenerator<Check> {
  const { settings } = session;
  const up = upCommand(settings.root);
  const api = `${settings.api.value} (from ${settings.api.from})`;
  if (tokenOf(settings) === undefined) {
    const places = settings.tokenPlaces.map(({ place }) => place).join(", ");
    yield { name: "token", status: "fail", detail: `none in ${places}`, fix: up };
    return yield* skipped(["api", "postgres", "hosts", "outboxes", "isolation"], "there is no token");
  }

  // One call shows whether the API answers, takes the token, and reaches Postgres.
  const fault = await faultOf(async () => {
    const client = await session.client(AppsServiceClient);
    await session.call(client, client.listApps, { pageSize: 1, pageToken: "" }, { timeoutMs: TIMEOUT_MS });
  });
  if (fault?.reason === "PEER_UNAVAILABLE" || fault?.reason === "DEADLINE_EXCEEDED") {
    yield { name: "api", status: "fail", detail: `${api} does not answer`, fix: up };
    return yield* skipped(["token", "postgres", "hosts", "outboxes", "isolation"], "the API does not answer");
  }
  yield { name: "api", status: "ok", detail: `answers at ${api}` };
  const place = `from ${settings.tokenPlaces.at(-1)?.place}`;
  if (fault?.code === "UNAUTHENTICATED") {
    yield { name: "token", status: "fail", detail: `${place}: ${fault.message}`, fix: WRONG_TOKEN_FIX };
    return yield* skipped(["postgres", "hosts", "outboxes", "isolation"], "the API does not take the token");
  }
  yield { name: "token", status: "ok", detail: place };
  yield postgres(fault, up);
  yield* hosts(session);
}

function postgres(fault: Fault | undefined, up: string): Check {
  const name = "postgres";
  if (!fault) return { name, status: "ok", detail: "the API reads its database" };
  if (fault.reason === "DATABASE_UNAVAILABLE") {
    const detail = "the API cannot reach it: machines start and stop, but none can be created or listed";
    return { name, status: "fail", detail, fix: up };
  }
  return { name, status: "fail", detail: `listing apps failed: ${fault.message} (${fault.reason})` };
}

async function* hosts(session: Session): AsyncGenerator<Check> {
  let list: readonly Host[] = [];
  const fault = await faultOf(async () => {
    list = await allHosts(session, "", TIMEOUT_MS);
  });
  if (!fault) {
    yield attachment(list, session.settings.root);
    yield outboxes(list);
    return yield isolation(list);
  }
  const isScope = fault.reason === "SCOPE_MISSING";
  const detail = isScope
    ? "this token may not list hosts (scope admin)"
    : `${fault.message} (${fault.reason})`;
  yield { name: "hosts", status: isScope ? "warn" : "fail", detail };
  yield* skipped(["outboxes", "isolation"], "hosts could not be listed");
}

function attachment(list: readonly Host[], root: string): Check {
  const name = "hosts";
  const attached = list.filter((host) => host.attached);
  if (attached.length === 0) {
    const detail =
      list.length === 0 ? "none has ever been attached" : `none of ${list.length} is attached to a scheduler`;
    return { name, status: "fail", detail, fix: `${upCommand(root)}; logs of scheduler and hostd say more` };
  }
  const problems = list.flatMap((host) => (host.attached ? [] : notAttached(host)));
  problems.push(...attached.flatMap((host) => refusing(host) ?? []));
  const total = attached.length < list.length ? `${attached.length} of ${list.length}` : `${attached.length}`;
  const [first] = problems;
  if (!first) return { name, status: "ok", detail: `${total} attached` };
  const detail = [`${total} attached`, ...problems.map(({ what }) => what)].join("; ");
  return { name, status: "warn", detail, fix: first.fix };
}

/** Why a host takes no machines, and what to do about it. */
interface HostProblem {
  readonly what: string;
  readonly fix: string;
}

function notAttached({ name, statusMessage }: Host): HostProblem {
  const what = `${name}: ${statusMessage || "not attached"}`;
  return { what, fix: `hover host show ${name}; its hostd must run, and reach a scheduler` };
}

/** The gravest reason; a cordon comes last, since an operator meant it. */
function refusing(host: Host): HostProblem | undefined {
  const { name, scheduling } = host;
  if (isDiskShort(host)) {
    const free = `${host.diskFreeMb} MB free of which ${host.diskReserveMb} must stay`;
    const what = `${name} takes no new machines, its disk is almost full (${free})`;
    return { what, fix: `free space on ${name} where its HOSTD_DIR is; hover host show ${name}` };
  }
  if (host.backoffUntilTime) {
    const what = `${name} is in backoff for refusing awards`;
    return { what, fix: `hover host show ${name}; its hostd's log says why it refused` };
  }
  if (!isClosed(host)) return undefined;
  return { what: `${name} is ${schedulingName(scheduling)}`, fix: `hover host uncordon ${name}` };
}

/** Fails when the database does not learn what happens on a host. */
function outboxes(list: readonly Host[]): Check {
  const name = "outboxes";
  const stalled = list.filter((host) => host.outboxStalledS !== undefined);
  if (stalled.length === 0) return { name, status: "ok", detail: "hosts deliver what happens on them" };
  const details = stalled.map(
    (host) => `${host.name} has delivered none of ${host.outboxEvents} changes for ${host.outboxStalledS} s`,
  );
  const fix = `the log of ${stalled[0]?.name}'s hostd says what the API answers`;
  return { name, status: "fail", detail: `${details.join("; ")}: lists are stale`, fix };
}

function isolation(list: readonly Host[]): Check {
  const name = "isolation";
  const weak = list.filter((host) => host.isolation === "development");
  const [first] = weak;
  if (!first) return { name, status: "ok", detail: list.length === 0 ? "no hosts" : "hardware" };
  const names = weak.map((host) => host.name).join(", ");
  const reason = first.vmmReason ? ` (${first.vmmReason})` : "";
  const isEmulated = weak.every(({ acceleration }) => acceleration !== "kvm");
  const why = isEmulated ? "machines are emulated, which isolates nobody" : "hosts lack KVM or confinement";
  const detail = `development only on ${names}: ${why}${reason}`;
  return {
    name,
    status: "warn",
    detail,
    fix: "run trusted images only, or use hosts with KVM, bubblewrap and hostd as root",
  };
}

async function faultOf(ask: () => Promise<void>): Promise<Fault | undefined> {
  try {
    await ask();
    return undefined;
  } catch (err) {
    return toFault(err);
  }
}
