-- Every host that ever announced itself. The first identity owns the number.
create table if not exists hosts (
  number integer primary key check (number between 0 and 1048575),
  identity text not null,
  -- What it said of itself last. Null when it has reported events but not announced itself yet.
  entry jsonb,
  -- Last event of its outbox that was applied; 0 for none.
  applied_sequence bigint not null default 0,
  update_time timestamptz not null default now()
);

create index if not exists hosts_update_time on hosts (update_time);
