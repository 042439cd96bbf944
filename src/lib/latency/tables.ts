/**
 * Tables that the receiver writes and the console reads, besides those of single spans. Columns are
 * the fields of `Operation` and `Mark` in snake case.
 *
 * `operation.row` grows with every insert, so that a reader finds what is new. An operation whose
 * trace is evicted goes with it. `latency` has what there was before anything was evicted: one row
 * for a minute, organisation, kind, path and outcome, with an HDR histogram of microseconds
 * (compressed, as `hdr-histogram-js` writes it). `loss` has spans that services could not send, as
 * they tell by spans `telemetry.dropped` with an attribute `windhover.spans.dropped`.
 */
export const TABLES = `
  create table operation (
    row integer primary key autoincrement, trace_id text not null, span_id text not null, kind text not null,
    start_us integer not null, duration_us integer not null, reason text not null, path text not null,
    not_faster text not null, org text not null, app text not null, machine_id text not null, host text not null,
    region text not null, image text not null, size text not null, version text not null,
    queue_length integer not null, concurrency integer not null, pool_size integer not null,
    refill_ms integer not null,
    hops text not null, unexplained_us integer not null, skew_us integer not null, lag_ms integer not null,
    unique (trace_id, span_id)
  ) strict;
  create table mark (
    row integer primary key autoincrement, time_ms integer not null, kind text not null, label text not null,
    host text not null
  ) strict;
  create table latency (
    minute_ms integer not null, org text not null, kind text not null, path text not null, failed integer not null,
    count integer not null, max_us integer not null, histogram text not null,
    primary key (minute_ms, org, kind, path, failed)
  ) strict, without rowid;
  create table loss (
    row integer primary key autoincrement, time_ms integer not null, service text not null, spans integer not null
  ) strict;
`;
