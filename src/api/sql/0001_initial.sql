-- Organisations: who may create machines, and how many.
create table if not exists organizations (
  slug text collate "C" primary key,
  name text not null,
  standing text not null default 'good' check (standing in ('good', 'past_due', 'banned')),
  quota_machines integer not null,
  quota_memory_mb bigint not null,
  create_time timestamptz not null default now()
);

-- The first organisation, with the quota of an organisation created without one.
insert into organizations (slug, name, quota_machines, quota_memory_mb)
values ('personal', 'Personal', 100, 65536)
on conflict (slug) do nothing;

-- Apps: named groups of machines. Names are unique over all organisations.
create table if not exists apps (
  name text collate "C" primary key,
  org text not null references organizations (slug),
  create_time timestamptz not null default now()
);

create index if not exists apps_org on apps (org, name);

-- Machines. The intent of a create inserts the row, before the machine has a host and thereby an id.
-- Names and quotas are decided by this table alone.
create table if not exists machines (
  create_id uuid primary key,
  id text collate "C" unique,
  org text not null references organizations (slug),
  -- Not a foreign key: destroyed machines outlive their app.
  app text collate "C" not null,
  name text not null,
  region text not null,
  memory_mb integer not null,
  host_number integer,
  state text not null,
  generation bigint not null default 0,
  -- False while the create is under way.
  committed boolean not null default false,
  -- The machine as its host last described it, without events. Null until then.
  snapshot jsonb,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);

create unique index if not exists machines_name on machines (app, name) where state <> 'destroyed';
-- Covers the use of an organisation.
create index if not exists machines_quota on machines (org) include (memory_mb) where state <> 'destroyed';
create index if not exists machines_by_org on machines (org, create_time, create_id);
create index if not exists machines_by_app on machines (app, create_time, create_id);
create index if not exists machines_by_host on machines (host_number, id) where state <> 'destroyed';
create index if not exists machines_destroyed on machines (update_time) where state = 'destroyed';

-- What happened to machines.
create table if not exists machine_events (
  machine_id text collate "C" not null references machines (id) on update cascade on delete cascade,
  -- A ULID: sorts by time.
  id text collate "C" not null,
  event jsonb not null,
  primary key (machine_id, id)
);

-- Hosts that have announced themselves or reported events. The first identity owns the number.
create table if not exists hosts (
  number integer primary key check (number between 0 and 1048575),
  identity text not null,
  -- The last announcement. Null until there is one.
  entry jsonb,
  -- Sequence of the last applied change of its outbox; 0 for none.
  applied_sequence bigint not null default 0,
  update_time timestamptz not null default now()
);

create index if not exists hosts_update_time on hosts (update_time);

-- Creates under way, and those of the last day for their request ids.
create table if not exists sagas (
  id uuid primary key,
  org text not null,
  -- Null: the create cannot be repeated, and is undone when its caller goes away.
  request_id text collate "C",
  -- A request id stands for one request.
  request_hash bytea not null,
  -- undoing: failed, its steps are being undone; stuck: an undo failed and is retried; failed: every step is undone.
  status text not null check (status in ('running', 'undoing', 'stuck', 'done', 'failed')),
  request jsonb not null,
  state jsonb not null,
  -- Outcomes of its steps, in order.
  entries jsonb not null default '[]',
  -- W3C trace context of the create.
  traceparent text not null,
  -- Why it failed.
  fault jsonb,
  -- The run that owns it. Only the owner's writes count, and no other may own it before the lease ends.
  owner uuid,
  lease_time timestamptz not null,
  attempts integer not null default 0,
  -- When to destroy again what hosts may have of a create that ended in doubt. Null: not in doubt.
  resolve_time timestamptz,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);

-- A failed create gives its request id back.
create unique index if not exists sagas_request_id on sagas (org, request_id) where status <> 'failed';
create index if not exists sagas_recent on sagas (org, request_id, create_time);
create index if not exists sagas_unfinished on sagas (lease_time) where status in ('running', 'undoing', 'stuck');
create index if not exists sagas_finished on sagas (update_time) where status in ('done', 'failed');
create index if not exists sagas_in_doubt on sagas (resolve_time) where resolve_time is not null;

-- Progress of creates, for those who watch them from another api.
create table if not exists saga_steps (
  saga_id uuid not null references sagas (id) on delete cascade,
  sequence integer not null,
  step text not null,
  -- running, done, undone or failed.
  status text not null,
  detail text not null,
  bytes_done bigint not null,
  bytes_total bigint not null,
  time timestamptz not null,
  primary key (saga_id, sequence)
);

-- Leases of maintenance tasks.
create table if not exists leases (
  name text primary key,
  owner uuid not null,
  lease_time timestamptz not null
);
