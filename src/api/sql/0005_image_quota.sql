-- Size of the images of machines, by what their hosts report.
alter table machines add column if not exists image_digest text collate "C"
  generated always as (snapshot -> 'imageRef' ->> 'digest') stored;
-- Null until the host has the image.
alter table machines add column if not exists image_bytes bigint
  generated always as ((snapshot ->> 'imageBytes')::bigint) stored;

-- Covers the use of an organisation.
create index if not exists machines_usage on machines (org, host_number, image_digest) include (memory_mb, image_bytes)
  where state <> 'destroyed';
drop index if exists machines_quota;

-- In MB, as the other quotas. 1 TB.
alter table organizations add column if not exists quota_image_mb bigint not null default 1048576;
