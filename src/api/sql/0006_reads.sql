-- Name of the private network that an app asked for. Kept, and not acted on.
alter table apps add column if not exists network text not null default '';

-- Versions of the configurations of machines, the newest 100 of each.
create table if not exists machine_versions (
  machine_id text collate "C" not null references machines (id) on update cascade on delete cascade,
  -- A ULID: sorts by time.
  instance_id text collate "C" not null,
  config jsonb not null,
  create_time timestamptz not null,
  primary key (machine_id, instance_id)
);

-- For lists by metadata, which read no snapshot that they do not return. Null: none.
alter table machines add column if not exists metadata jsonb
  generated always as (nullif(snapshot -> 'config' -> 'metadata', '{}'::jsonb)) stored;

-- For lists in the order of updates.
create index if not exists machines_by_org_update on machines (org, update_time, create_id);

-- What hosts have reported of machines, for those who watch them.
create table if not exists machine_changes (
  -- The transaction that wrote it: readers go no further than the oldest one under way.
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity,
  machine_id text collate "C" not null,
  org text collate "C" not null,
  app text collate "C" not null,
  -- What may differ from `machines.snapshot`, without the configuration.
  status jsonb not null,
  -- Null: only fields have changed.
  event jsonb,
  create_time timestamptz not null default now(),
  primary key (xid, position)
);

create index if not exists machine_changes_by_org on machine_changes (org, xid, position);

-- The last change that is not kept any more.
create table if not exists machine_changes_horizon (
  only_row boolean primary key default true check (only_row),
  xid xid8 not null,
  position bigint not null
);

insert into machine_changes_horizon (xid, position) values ('0', 0) on conflict do nothing;
