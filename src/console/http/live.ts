import type { FastifyInstance } from "fastify";
import { Fault } from "../../lib/faults/fault.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { sessionOf } from "../access/cookie.ts";
import { matcher } from "../columns/select.ts";
import type { News } from "../following/memory.ts";
import { readFilter } from "../parameters/filter.ts";
import { marksFor } from "../queries/overview.ts";
import { rowsOf, typicalHops } from "../queries/rows.ts";
import { SECURITY_HEADERS } from "./headers.ts";
import { type ConsoleParts, type Identify, parametersOf } from "./parts.ts";

const MAX_STREAMS_OF_ORG = 16;
const MAX_STREAMS = 256;
/** Operations that are sent at once; of a burst, which nobody reads, the newest. */
const MAX_ROWS = 100;
/** A client that has not read so much gets nothing new, but is told how much it missed. */
const MAX_UNREAD_BYTES = 256 * 1024;
const CHECK_MS = 1_000;
/** Proxies close connections on which nothing is said. */
const BEAT_MS = 15_000;
/** After that the browser connects anew. */
const MAX_LIFE_MS = 3_600_000;

/** Serves new operations and marks as server-sent events. */
export function registerLive(server: FastifyInstance, parts: ConsoleParts, identify: Identify): void {
  const { memory, access, clock, origins, closing } = parts;
  const streams = new Concurrency(MAX_STREAMS_OF_ORG, tooManyStreams);

  server.get("/api/live", { exposeHeadRoute: false }, async (request, reply) => {
    const asker = await identify(request);
    const { org, claims } = asker;
    const filter = readFilter(parametersOf(request), clock.now());
    if (streams.total >= MAX_STREAMS) throw tooManyStreams("all", MAX_STREAMS);
    const release = streams.take(claims.org);
    const session = sessionOf(request.headers.cookie, origins().isSecure);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...SECURITY_HEADERS,
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // A buffer of nginx would keep events back.
      "x-accel-buffering": "no",
    });
    raw.write("retry: 2000\n\n");
    let missed = 0;
    let beatMs = clock.monotonicMs();
    const endMs = beatMs + MAX_LIFE_MS;

    const send = ({ operations, marks }: News): void => {
      const { columns } = memory;
      const matches = matcher(columns, filter, org, { sinceMs: 0, untilMs: Number.POSITIVE_INFINITY });
      const found = operations.filter(matches);
      const shown = raw.writableLength > MAX_UNREAD_BYTES ? [] : found.slice(-MAX_ROWS);
      missed += found.length - shown.length;
      if (shown.length > 0) {
        if (missed > 0) raw.write(event("missed", { count: missed }));
        missed = 0;
        const typical = typicalHops(columns, Uint32Array.from(shown));
        for (const row of rowsOf(columns, shown, typical)) raw.write(event("operation", row));
      }
      if (marks.length === 0 || raw.writableLength > MAX_UNREAD_BYTES) return;
      const visible = marksFor({ columns, marks }, org);
      for (const mark of visible) raw.write(event("mark", mark));
    };

    const news = memory.onNews(send);
    const end = onAbort(closing, () => raw.end());
    const check = setInterval(() => {
      const now = clock.monotonicMs();
      if (now >= endMs || !access.isStillAllowed(asker, session)) raw.end();
      else if (now - beatMs >= BEAT_MS && raw.writableLength === 0) {
        beatMs = now;
        raw.write(":\n\n");
      }
    }, CHECK_MS);
    raw.once("close", () => {
      clearInterval(check);
      news[Symbol.dispose]();
      end[Symbol.dispose]();
      release();
    });
  });
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function tooManyStreams(_holder: string, limit: number): Fault {
  const message = `at most ${limit} live views may be open`;
  const facts = { limit: String(limit) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS", message, facts, { retryAfterMs: 10_000 });
}
