-- Credentials that organisations pull images with.
create table if not exists registry_logins (
  org text collate "C" not null references organizations (slug) on delete cascade,
  -- Name of a registry, perhaps with a path: registry.example/team.
  registry text collate "C" not null,
  -- password, identity_token or registry_token.
  kind text not null,
  -- The credentials as JSON, encrypted by an api's sealing key.
  sealed bytea not null,
  update_time timestamptz not null default now(),
  primary key (org, registry)
);
