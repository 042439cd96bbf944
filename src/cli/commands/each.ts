import type { MachinesServiceClient } from "../../gen/windhover/machines/v1/machines.ts";
import { type ErrorJson, EXIT, reportError, toFault } from "../report.ts";
import type { Session } from "../session.ts";
import { RootSpan } from "../trace/root-span.ts";
import { machineId, machinesClient } from "./find.ts";

/** What became of one machine. */
export interface Done {
  /** Whether it counts as a success. */
  readonly ok: boolean;
  /** For a person, without the id. */
  readonly text: string;
  /** For `--json`; `id`, `trace_id` and `duration_ms` are added. */
  readonly json: Readonly<Record<string, unknown>>;
  /** What to type next, when that is not obvious. */
  readonly next?: string;
}

/** What a verb is told about the machine it is to work on. */
export interface Target {
  readonly client: MachinesServiceClient;
  readonly id: string;
  readonly span: RootSpan;
  /** Milliseconds since the call began. */
  elapsedMs(): number;
}

type One =
  | {
      readonly given: string;
      readonly id: string;
      readonly done: Done;
      readonly traceId: string;
      readonly ms: number;
    }
  | { readonly given: string; readonly err: unknown };

const AT_ONCE = 8;

/**
 * Does something to several machines at once and tells what became of each, in the order in which they were given. One failure does not keep
 * the others from being done. Each machine has a trace of its own. With `--json` the result is a list, errors included.
 */
export async function forEachMachine(
  session: Session,
  given: readonly string[],
  flags: { readonly app?: string },
  verb: string,
  work: (target: Target) => Promise<Done>,
): Promise<number> {
  const client = await machinesClient(session);
  const asked = [...new Set(given)];
  const results = new Map<string, One>();
  const sent: Promise<void>[] = [];
  const queue = asked.values();
  const worker = async () => {
    for (const one of queue) results.set(one, await doOne(one));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, asked.length) }, worker));
  const list = asked.flatMap((one) => results.get(one) ?? []);
  show(session, list);
  await Promise.all(sent);
  return list.every((one) => "done" in one && one.done.ok) ? EXIT.ok : EXIT.failed;

  async function doOne(one: string): Promise<One> {
    let span: RootSpan | undefined;
    let id = one;
    try {
      session.signal.throwIfAborted();
      id = await machineId(session, client, one, flags);
      span = new RootSpan(`hover machine ${verb}`);
      const begun = performance.now();
      const elapsedMs = () => performance.now() - begun;
      const done = await work({ client, id, span, elapsedMs });
      span.end({ attributes: { "windhover.machine.id": id } });
      return { given: one, id, done, traceId: span.traceId, ms: elapsedMs() };
    } catch (err) {
      if (session.signal.aborted) throw err;
      span?.end({ reason: toFault(err).reason, attributes: { "windhover.machine.id": id } });
      return { given: one, err };
    } finally {
      if (span) sent.push(span.send(session.settings));
    }
  }
}

function show(session: Session, list: readonly One[]): void {
  const { terminal, settings } = session;
  if (session.json) {
    session.printJson(
      list.map((one) => ("done" in one ? doneJson(one) : { id: one.given, error: errorJson(one, session) })),
    );
  }
  for (const one of list) {
    if ("done" in one) {
      if (!session.json) session.printLines([`${one.id} ${one.done.text}`]);
      if (!session.json && one.done.next) session.say(`Next: ${one.done.next}`);
    } else if (!session.json) {
      const { lines } = reportError(one.err, { machine: one.given }, settings, terminal.paint);
      const prefix = list.length > 1 ? `${one.given}: ` : "";
      session.say(prefix + lines.join("\n"));
    }
  }
}

function doneJson(one: Extract<One, { done: Done }>) {
  return { id: one.id, ...one.done.json, trace_id: one.traceId, duration_ms: Number(one.ms.toFixed(3)) };
}

function errorJson(one: Extract<One, { err: unknown }>, session: Session): ErrorJson {
  return reportError(one.err, { machine: one.given }, session.settings, session.terminal.paint).json.error;
}
