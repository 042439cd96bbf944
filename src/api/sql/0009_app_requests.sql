-- Makes creates of apps safe to repeat. Null: the create cannot be repeated.
alter table apps add column if not exists request_id text collate "C";

create unique index if not exists apps_request_id on apps (org, request_id);
