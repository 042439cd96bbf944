import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startConsole } from "../../../src/console/console.ts";
import { DEFAULT_OBJECTIVES, parseObjective } from "../../../src/console/parameters/objectives.ts";
import { mintToken, TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import type { Operation } from "../../../src/lib/latency/operation.ts";
import { TraceReader } from "../../../src/lib/latency/trace-reader.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { ROOT } from "../../../tools/lib/paths.ts";
import { TraceDatabase } from "../../support/console/trace-database.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { type Recording, record } from "../recording/recording.ts";

/** A console over a recording, as a fleet has one. */
export interface World extends AsyncDisposable {
  readonly database: TraceDatabase;
  readonly recording: Recording;
  /** End of the recording, an hour after its begin. */
  readonly endMs: number;
  /** Parameters of the hour that was recorded. */
  readonly hour: string;
  /** Recorded operations of a kind; by default starts. */
  operations(kind?: Operation["kind"]): readonly Operation[];
  /** Returns a link that opens a session at a view, once. */
  link(view: string): Promise<string>;
  /** Stops to answer, as a console that was ended. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const LOAD_LIMIT_MS = 60_000;
const POLL_MS = 20;

interface WorldOptions {
  /** Traces whose spans are stored, the longest. Default: all. */
  readonly stored?: number;
}

/** Starts a console that has read so many recorded traces. */
export async function startWorld(traces: number, { stored = traces }: WorldOptions = {}): Promise<World> {
  const scratch = temporaryFolder("console-page");
  const database = new TraceDatabase(join(scratch.path, "traces"));
  const endMs = Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
  const recording = record(endMs, traces);
  database.addOperations(recording.operations);
  database.addTraces(longest(recording.traces, stored));
  for (const mark of recording.marks) database.addMark(mark);
  const keys = generateKeyPair();
  const source = new TraceReader(database.dir);
  const running = await startConsole(
    {
      ...{ listen: "127.0.0.1:0", publicUrl: undefined, capacity: 200_000 },
      pageDir: join(ROOT, "src/console/web/dist"),
      objectives: DEFAULT_OBJECTIVES.split(",").map(parseObjective),
    },
    {
      ...{ source, clock: systemClock, audit: { record: () => undefined } },
      verifier: new TokenVerifier(keys.publicKey, systemClock, new Revocations()),
    },
  );
  const url = `http://127.0.0.1:${running.port}`;
  await untilLoaded(url);
  const token = await mintToken(keys.privateKey, { subject: "test", org: "ops", scopes: ["admin"] }, 3_600);
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await running.close();
    source.close();
  };
  const close = async () => {
    await stop();
    database.close();
    scratch.remove();
  };
  return {
    ...{ database, recording, endMs, stop, close },
    hour: `since=${endMs - HOUR_MS}&until=${endMs}`,
    operations: (kind = "start") => recording.operations.filter((each) => each.kind === kind),
    link: async (view) => {
      const answer = await fetch(`${url}/api/links`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({ view }),
      });
      const { url: link } = (await answer.json()) as { url: string };
      return link;
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Polls the console until it has read the whole store. */
async function untilLoaded(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(LOAD_LIMIT_MS);
  for (;;) {
    const health = (await (await fetch(`${url}/healthz`, { signal: deadline })).json()) as {
      is_loaded: boolean;
    };
    if (health.is_loaded) return;
    await pause(POLL_MS, undefined, { signal: deadline });
  }
}

/** Returns the longest traces. */
function longest(traces: Recording["traces"], count: number): Recording["traces"] {
  if (count >= traces.length) return traces;
  const lengths = new Map(
    traces.map((trace) => [trace, Math.max(...trace.spans.map((span) => span.duration_us))]),
  );
  return traces.toSorted((a, b) => (lengths.get(b) ?? 0) - (lengths.get(a) ?? 0)).slice(0, count);
}
