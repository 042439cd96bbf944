-- The record that machines exist. A row is made by the intent of a create, before there is an id: the id says on which host the machine is.
-- Names, apps and quotas are decided by this table alone.
create table if not exists machines (
  create_id uuid primary key,
  id text collate "C" unique,
  org text not null references organizations (slug),
  -- Not a foreign key: the record of destroyed machines outlives their app.
  app text collate "C" not null,
  name text not null,
  region text not null,
  memory_mb integer not null,
  host_number integer,
  state text not null,
  generation bigint not null default 0,
  -- False while the create is under way.
  recorded boolean not null default false,
  -- The machine as its host last described it, without events. Null before the host has it.
  snapshot jsonb,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now()
);

create unique index if not exists machines_name on machines (app, name) where state <> 'destroyed';
-- What an organisation uses, without reading the rows.
create index if not exists machines_quota on machines (org) include (memory_mb) where state <> 'destroyed';
create index if not exists machines_by_org on machines (org, create_time, create_id);
create index if not exists machines_by_app on machines (app, create_time, create_id);
create index if not exists machines_by_host on machines (host_number, id) where state <> 'destroyed';
create index if not exists machines_destroyed on machines (update_time) where state = 'destroyed';
