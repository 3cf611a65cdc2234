-- Work names the request that asked for it: the worker's log lines and traces go back to it.
alter table mint_job add column request_id text, add column traceparent text;
alter table export_group add column request_id text, add column traceparent text;
