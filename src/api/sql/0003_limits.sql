-- Limits of an organisation that differ from those configured for all, e.g.
-- {"rates": {"create": {"perSecond": 10, "burst": 100}}, "createsInProgress": 20}. Null: none.
alter table organizations add column if not exists limits jsonb;
create index if not exists organizations_limits on organizations (slug) where limits is not null;

-- A create that has ended keeps the digest of its request, not the request.
alter table sagas alter column request drop not null;
