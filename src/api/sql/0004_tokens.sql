-- Tokens that were made, without their text.
create table if not exists tokens (
  id text collate "C" primary key,
  org text not null references organizations (slug),
  subject text not null,
  scopes text[] not null,
  -- Subject of the token that it was made with.
  creator text not null,
  last4 text not null,
  create_time timestamptz not null default now(),
  expire_time timestamptz not null
);

create index if not exists tokens_recent on tokens (create_time desc, id);
create index if not exists tokens_by_org on tokens (org, create_time desc, id);
create index if not exists tokens_expired on tokens (expire_time);

-- Tokens and blocks of tokens that may not be used any more, until they would have expired.
create table if not exists token_revocations (
  id text collate "C" primary key,
  revoke_time timestamptz not null default now(),
  -- The longest life of a token, when its own is not known.
  expire_time timestamptz not null
);

-- Tokens of an organisation issued before this are void.
alter table organizations add column if not exists tokens_not_before timestamptz;

-- Grows with every change of what is revoked or suspended.
create table if not exists revocations_version (
  only_row boolean primary key default true check (only_row),
  version bigint not null
);

insert into revocations_version (version) values (1) on conflict do nothing;

create or replace function bump_revocations_version() returns trigger language plpgsql as $$
begin
  update revocations_version set version = version + 1;
  return null;
end
$$;

create or replace trigger token_revocations_changed
  after insert or delete on token_revocations
  for each statement execute function bump_revocations_version();

create or replace trigger organizations_restricted
  after update of standing, tokens_not_before on organizations
  for each row when (old.standing is distinct from new.standing
                     or old.tokens_not_before is distinct from new.tokens_not_before)
  execute function bump_revocations_version();
