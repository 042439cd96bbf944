-- What happened to machines, newest ids last.
create table if not exists machine_events (
  machine_id text collate "C" not null references machines (id) on update cascade on delete cascade,
  -- A ULID.
  id text collate "C" not null,
  event jsonb not null,
  primary key (machine_id, id)
);
