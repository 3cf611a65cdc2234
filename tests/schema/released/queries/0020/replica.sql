-- Where a server stands in the log that a primary writes and its replicas replay.

-- name: position
-- role: mintage_resolver
-- `cluster` is the same on a primary and its replicas, and on no other server.
select
  (select system_identifier from pg_control_system()) as cluster,
  pg_is_in_recovery() as is_replica,
  (
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
    - '0/0'::pg_lsn
  )::bigint as position
