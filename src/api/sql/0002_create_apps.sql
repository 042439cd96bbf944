-- Apps: named groups of machines. Their names are one name space for all organisations.
create table if not exists apps (
  name text collate "C" primary key,
  org text not null references organizations (slug),
  create_time timestamptz not null default now()
);

create index if not exists apps_org on apps (org, name);
