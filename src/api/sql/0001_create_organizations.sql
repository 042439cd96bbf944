-- Organisations: who may create, and how much.
create table if not exists organizations (
  slug text collate "C" primary key,
  name text not null,
  standing text not null default 'good' check (standing in ('good', 'past_due', 'banned')),
  quota_machines integer not null,
  quota_memory_mb bigint not null,
  create_time timestamptz not null default now()
);

-- Everybody's first organisation. Its quota is that of an organisation created without one.
insert into organizations (slug, name, quota_machines, quota_memory_mb)
values ('personal', 'Personal', 100, 65536)
on conflict (slug) do nothing;
