-- Which api does the work that only one needs to do.
create table if not exists leases (
  name text primary key,
  owner uuid not null,
  lease_time timestamptz not null
);
