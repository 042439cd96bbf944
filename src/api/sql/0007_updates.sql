-- Memory that machines may soon have: their updates are under way, or have ended without an answer.
-- What a machine has then is in `machines`, by the report of its host.
create table if not exists memory_reservations (
  machine_id text collate "C" primary key references machines (id) on update cascade on delete cascade,
  org text collate "C" not null,
  -- Of the machine, after the update.
  memory_mb integer not null,
  -- The last update that has reserved it, which ends it.
  owner uuid not null,
  -- No update lasts longer.
  expire_time timestamptz not null
);

create index if not exists memory_reservations_by_org on memory_reservations (org);
