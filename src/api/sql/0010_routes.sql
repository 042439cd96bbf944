-- Custom host names of apps, which proxies route by.
create table if not exists app_hostnames (
  -- Lower-case ASCII; `*.` and a name stands for any one label before it.
  hostname text collate "C" primary key,
  app text collate "C" not null references apps (name) on delete cascade,
  create_time timestamptz not null default now()
);
create index if not exists app_hostnames_by_app on app_hostnames (app, hostname);

-- Apps and hosts that have changed, for proxies. Changes of machines are in `machine_changes`.
create table if not exists route_changes (
  xid xid8 not null default pg_current_xact_id(),
  -- Of the sequence of `machine_changes`, so that one position is a place in both.
  position bigint not null default nextval('machine_changes_position_seq'),
  -- Either an app, or a host.
  app text collate "C",
  host_number integer,
  create_time timestamptz not null default now(),
  primary key (xid, position)
);

-- For the machines that proxies know: those with a service that has ports.
create index if not exists machines_routed on machines (id)
  where state <> 'destroyed' and jsonb_path_exists(snapshot, '$.config.services[*].ports[*]');
