-- When to destroy again what hosts may have of a create that has ended: they did not answer its award. Null: nothing is in doubt.
alter table sagas add column if not exists resolve_time timestamptz;

create index if not exists sagas_in_doubt on sagas (resolve_time) where resolve_time is not null;
