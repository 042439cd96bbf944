-- Acquires with a key, and those that have begun a second step beside a slow one.
create table if not exists acquires (
  id uuid primary key,
  org text collate "C" not null,
  -- Null: it cannot be repeated.
  key text collate "C",
  -- A key stands for one request.
  request_hash bytea not null,
  -- settling: it has its machine, and what slower steps did is being undone. failed: its key may begin anew.
  status text not null check (status in ('running', 'settling', 'done', 'failed')),
  machine_id text collate "C",
  step integer,
  -- What its steps were about to do, in order, stored before it was done.
  intents jsonb not null default '[]',
  -- W3C trace id: starts made by it have the same one.
  trace_id text not null,
  -- The api that works on it.
  owner uuid not null,
  lease_time timestamptz not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);

create unique index if not exists acquires_key on acquires (org, key) where status <> 'failed';
create index if not exists acquires_unfinished on acquires (lease_time) where status in ('running', 'settling');
create index if not exists acquires_finished on acquires (update_time) where status in ('done', 'failed');
