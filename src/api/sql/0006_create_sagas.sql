-- Creates under way, and those of the last day for their request ids.
create table if not exists sagas (
  id uuid primary key,
  org text not null,
  -- Null: not to be repeated, and undone when its caller goes away.
  request_id text collate "C",
  -- What was asked for, hashed: the same request id may not stand for another request.
  request_hash bytea not null,
  -- running, undoing (failed, being undone), stuck (an undo failed; retried), done, failed (and undone).
  status text not null check (status in ('running', 'undoing', 'stuck', 'done', 'failed')),
  request jsonb not null,
  state jsonb not null,
  -- What happened to its steps, in order: see lib/saga.ts.
  entries jsonb not null default '[]',
  -- W3C trace context of the create.
  traceparent text not null,
  -- Why it failed.
  fault jsonb,
  -- Who runs it. Nobody else may before the lease ends, and only the owner's writes count.
  owner uuid,
  lease_time timestamptz not null,
  attempts integer not null default 0,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);

-- A create that failed gives its request id back.
create unique index if not exists sagas_request_id on sagas (org, request_id) where status <> 'failed';
create index if not exists sagas_recent on sagas (org, request_id, create_time);
create index if not exists sagas_unfinished on sagas (lease_time) where status in ('running', 'undoing', 'stuck');
create index if not exists sagas_finished on sagas (update_time) where status in ('done', 'failed');
