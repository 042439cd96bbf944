import {
  type AuditEntry,
  AuditServiceClient,
  type ReadAuditRequest,
} from "../../../gen/windhover/admin/v1/audit.ts";
import { toJson } from "../../render/json.ts";
import { Absence } from "../../session/absence.ts";
import { READ_TIMEOUT_MS, type Session } from "../../session/session.ts";

const RECENT_MS = 15_000;

/** Flags of `hover audit`. */
export interface AuditFlags {
  readonly org?: string;
  readonly subject?: string;
  readonly object?: string;
  /** Milliseconds. */
  readonly since?: number;
  readonly follow?: boolean;
}

/** Prints entries as they come: lines for people, or one JSON object in a line. */
export async function showAudit(session: Session, _args: [], flags: AuditFlags): Promise<void> {
  const { org = "", subject = "", object = "", since, follow = false } = flags;
  const client = await session.client(AuditServiceClient);
  const sinceTime = since === undefined ? undefined : new Date(Date.now() - since);
  const request = { org, subject, object, sinceTime, follow };
  for await (const entries of entriesOf(session, client, request)) {
    if (session.json) session.printLines(entries.map((entry) => JSON.stringify(toJson(entry))));
    else session.printLines(entries.map(lineOf));
  }
}

/** Reads entries; when it follows, also while the API restarts: none is lost, and none comes twice. */
async function* entriesOf(
  session: Session,
  client: AuditServiceClient,
  first: ReadAuditRequest,
): AsyncGenerator<readonly AuditEntry[]> {
  const timeoutMs = first.follow ? Number.POSITIVE_INFINITY : READ_TIMEOUT_MS * 4;
  const absence = new Absence(session);
  let recent: readonly AuditEntry[] = [];
  for (let request = first; ; ) {
    const known = new Set(recent.map(keyOf));
    try {
      for await (const { entries } of session.stream(client, client.readAudit, request, { timeoutMs })) {
        absence.over();
        const fresh = entries.filter((entry) => !known.has(keyOf(entry)));
        if (first.follow) recent = recentOf([...recent, ...fresh]);
        if (fresh.length > 0) yield fresh;
      }
      return;
    } catch (err) {
      if (!first.follow) throw err;
      await absence.pause(err);
      const oldest = recent[0]?.time;
      if (oldest) request = { ...request, sinceTime: oldest };
    }
  }
}

/** Returns the entries of the last seconds, in the order of their times. Folded refusals are written that late. */
function recentOf(entries: readonly AuditEntry[]): readonly AuditEntry[] {
  const inOrder = entries.toSorted((a, b) => timeOf(a) - timeOf(b));
  const newest = inOrder.at(-1);
  return newest ? inOrder.filter((entry) => timeOf(entry) > timeOf(newest) - RECENT_MS) : [];
}

function timeOf({ time }: AuditEntry): number {
  return time?.getTime() ?? 0;
}

function keyOf(entry: AuditEntry): string {
  return JSON.stringify(toJson(entry));
}

function lineOf(entry: AuditEntry): string {
  const { time, action, method, kind, object, org, subject, code, reason, client, count, traceId } = entry;
  const who = subject === "" ? "somebody without a valid token" : `${subject}@${org || "services"}`;
  const outcome = code === "OK" ? "ok" : `${code}${reason === "" ? "" : ` / ${reason}`}`;
  return [
    time?.toISOString() ?? "-",
    outcome,
    action || method,
    ...(object === "" ? [] : [`${kind} ${object}`]),
    `by ${who} from ${client || "several addresses"}`,
    ...(count > 1 ? [`${count} times`] : []),
    ...(traceId === "" ? [] : [`trace ${traceId}`]),
  ].join("  ");
}
