import { counter, gauge, secondsHistogram } from "../../lib/otel/metrics.ts";
import type { Span } from "../../lib/otel/tracing.ts";
import { STATUS_OF } from "../proxy-error.ts";
import { AppLabels } from "./app-labels.ts";
import type { RequestRecord } from "./request-record.ts";

const labels = new AppLabels({ total: 200, perOrg: 50 });

const requests = counter(
  "windhover_proxy_requests_total",
  "Requests by app and class of status; `left`: the client did not wait for the answer.",
  ["app", "status"],
);
const seconds = secondsHistogram(
  "windhover_proxy_request_duration_seconds",
  "Duration of requests until the end of their answers, by app. Connections that changed their protocol are left out.",
  ["app"],
);
const ownSeconds = secondsHistogram(
  "windhover_proxy_wait_seconds",
  "Time that requests waited for a place at a machine.",
);
const errors = counter("windhover_proxy_errors_total", "Requests that the proxy itself answered, by code.", [
  "code",
]);
for (const code of Object.keys(STATUS_OF)) errors.inc({ code }, 0);
const retries = counter("windhover_proxy_retries_total", "Attempts after the first of a request.");
const replays = counter("windhover_proxy_replays_total", "Requests that `fly-replay` sent elsewhere.");
const bytes = counter("windhover_proxy_bytes_total", "Bytes of bodies and connections.", ["direction"]);

let open = 0;
gauge("windhover_proxy_requests_in_progress", "Requests and changed connections under way.", () => open);

/** Counts a request that has begun. */
export function countBegin(): void {
  open += 1;
}

/** Counts a request that has ended, whose span has not yet. */
export function countEnd(record: RequestRecord, durationMs: number, span: Span): void {
  open -= 1;
  const app = labels.of(record.app, record.org);
  requests.inc({ app, status: classOf(record) });
  if (record.status !== 101) seconds.observe({ app }, durationMs / 1_000, span);
  if (record.app !== "") ownSeconds.observe({}, record.waitedMs / 1_000, span);
  if (record.error !== undefined) errors.inc({ code: record.error });
  if (record.retries > 0) retries.inc(record.retries);
  if (record.replays > 0) replays.inc(record.replays);
  countBytes(record.bytesIn, record.bytesOut);
}

/** Counts bytes that have passed. */
export function countBytes(received: number, sent: number): void {
  if (received > 0) bytes.inc({ direction: "in" }, received);
  if (sent > 0) bytes.inc({ direction: "out" }, sent);
}

function classOf({ status }: RequestRecord): string {
  return status === 0 ? "left" : `${Math.floor(status / 100)}xx`;
}
