-- The progress of a create, for those who watch it from another api.
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
