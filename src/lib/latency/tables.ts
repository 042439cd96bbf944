/** Grows with every change of the tables. The receiver empties a database of another version. */
export const TABLES_VERSION = 3;

/**
 * Tables that the receiver writes and the console reads. Columns of `operation` and `mark` are the
 * fields of `Operation` and `Mark` in snake case, those of `trace` the fields of the receiver's
 * summary.
 *
 * - `state`: `epoch` is another one for each database: rows are counted anew.
 * - `trace.due_ms`: when the trace will be sealed; null: it is. The spans of a sealed trace are in
 *   `packed`, those of others in `span`.
 * - `trace.tier` and `rank`: what is evicted first, see ADR 37.
 * - `operation.row` grows with every insert, so that a reader finds what is new. An operation whose
 *   trace is evicted or sealed anew goes, and `removed` says so for a while.
 * - `latency`: all that there was, counted before anything was evicted. One row for a minute,
 *   organisation, kind, path and outcome, with an HDR histogram of microseconds. `latency_hour` has
 *   the same by hours and is kept longer.
 * - `slow`: the slowest operations of each path and hour.
 * - `loss`: spans that services could not send, as they tell by spans `telemetry.dropped` with an
 *   attribute `windhover.spans.dropped`; of service `traces`: those that the receiver refused.
 */
export const TABLES = `
  create table state (name text primary key, value any) strict, without rowid;
  create table trace (
    row integer primary key, trace_id text not null unique, root_name text not null, root_service text not null,
    root_start_us integer not null, has_root integer not null, start_us integer not null, end_us integer not null,
    spans integer not null, bytes integer not null, dropped integer not null, client_spans integer not null,
    about_machine integer not null, owner text, client_owner text, received_ms integer not null,
    opened_ms integer not null, due_ms integer, tier text not null, rank real not null
  ) strict;
  create index trace_by_due on trace (due_ms) where due_ms is not null;
  create index trace_by_rank on trace (tier, rank);
  create index trace_by_start on trace (start_us);
  create table span (
    trace integer not null, span_id text not null, start_us integer not null, client_org text, body text not null,
    primary key (trace, span_id)
  ) strict, without rowid;
  create table packed (trace integer primary key, spans blob not null) strict;
  create table machine_trace (
    machine_id text not null, trace integer not null, primary key (machine_id, trace)
  ) strict, without rowid;
  create index machine_trace_by_trace on machine_trace (trace);
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
  create table removed (seq integer primary key autoincrement, operation integer not null) strict;
  create table slow (
    kind text not null, path text not null, hour_ms integer not null, duration_us integer not null,
    trace integer not null, primary key (kind, path, hour_ms, duration_us, trace)
  ) strict, without rowid;
  create index slow_by_trace on slow (trace);
  create table mark (
    row integer primary key autoincrement, time_ms integer not null, kind text not null, label text not null,
    host text not null
  ) strict;
  create table latency (
    minute_ms integer not null, org text not null, kind text not null, path text not null, failed integer not null,
    count integer not null, max_us integer not null, histogram text not null,
    primary key (minute_ms, org, kind, path, failed)
  ) strict, without rowid;
  create table latency_hour (
    hour_ms integer not null, org text not null, kind text not null, path text not null, failed integer not null,
    count integer not null, max_us integer not null, histogram text not null,
    primary key (hour_ms, org, kind, path, failed)
  ) strict, without rowid;
  create table loss (
    row integer primary key autoincrement, time_ms integer not null, service text not null, spans integer not null
  ) strict;
`;
