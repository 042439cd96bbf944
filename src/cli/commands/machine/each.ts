import type { MachinesServiceClient } from "../../../gen/windhover/machines/v1/machines.ts";
import type { Subject } from "../../session/faults/hints.ts";
import { EXIT, reportError } from "../../session/report.ts";
import type { RootSpan } from "../../session/root-span.ts";
import type { Session } from "../../session/session.ts";
import { type AppFlag, machineId, machinesClient } from "../find.ts";

export type Ids = [ids: string[]];

/** Names the machine of a command that takes several, when it is only one. */
export function aboutMachines([ids]: Ids, { app }: AppFlag): Subject {
  return { machine: ids.length === 1 ? ids[0] : undefined, app };
}

/** The outcome for one machine. */
export interface Outcome {
  readonly ok: boolean;
  /** For a person, without the id. */
  readonly text: string;
  /** For `--json`; `id`, `trace_id` and `duration_ms` are added. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The next command, when it is not obvious. */
  readonly next?: string;
}

/** One machine that a command works on. */
export interface Target {
  readonly client: MachinesServiceClient;
  readonly id: string;
  readonly span: RootSpan;
  /** Returns the milliseconds since the call began. */
  elapsedMs(): number;
}

type Result =
  | { readonly id: string; readonly outcome: Outcome; readonly traceId: string; readonly ms: number }
  | { readonly given: string; readonly err: unknown };

const CONCURRENCY = 8;

/**
 * Does something to several machines and shows the outcome of each, in the order in which they were
 * given. A failure does not keep the others from being done. Each machine has a trace of its own.
 * With `--json` the result is a list, errors included.
 */
export async function forEachMachine(
  session: Session,
  given: readonly string[],
  flags: AppFlag,
  verb: string,
  work: (target: Target) => Promise<Outcome>,
): Promise<void> {
  const client = await machinesClient(session);
  const ids = [...new Set(given)];
  const results = new Map<string, Result>();
  const queue = ids.values();
  const worker = async () => {
    for (const one of queue) results.set(one, await doOne(one));
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, ids.length) }, worker));
  const list = ids.flatMap((one) => results.get(one) ?? []);
  show(session, list);
  if (!list.every((one) => "outcome" in one && one.outcome.ok)) session.exitCode = EXIT.failed;

  async function doOne(one: string): Promise<Result> {
    try {
      session.signal.throwIfAborted();
      const id = await machineId(session, client, one, flags);
      return await session.inSpan(`hover machine ${verb}`, async (span) => {
        span.setMachine(id);
        const startedAt = performance.now();
        const elapsedMs = () => performance.now() - startedAt;
        const outcome = await work({ client, id, span, elapsedMs });
        return { id, outcome, traceId: span.traceId, ms: elapsedMs() };
      });
    } catch (err) {
      if (session.signal.aborted) throw err;
      return { given: one, err };
    }
  }
}

function show(session: Session, list: readonly Result[]): void {
  const report = ({ given, err }: Extract<Result, { err: unknown }>) =>
    reportError(err, { machine: given }, session.settings, session.terminal.paint);
  if (session.json) {
    session.printJson(
      list.map((one) => {
        if ("err" in one) return { id: one.given, error: report(one).json.error };
        const { id, outcome, traceId, ms } = one;
        return { id, ...outcome.json, trace_id: traceId, duration_ms: Number(ms.toFixed(3)) };
      }),
    );
    return;
  }
  for (const one of list) {
    if ("err" in one) {
      const prefix = list.length > 1 ? `${one.given}: ` : "";
      session.say(prefix + report(one).lines.join("\n"));
    } else {
      session.printLines([`${one.id} ${one.outcome.text}`]);
      if (one.outcome.next) session.suggest(one.outcome.next);
    }
  }
}
