-- Sign-ins are events of the brands of who signs in.
alter table mint_event drop constraint mint_event_event_type_check;
alter table mint_event add constraint mint_event_event_type_check check (event_type in (
  'mint_requested', 'mint_job_started', 'mint_units_created', 'mint_lots_confirmed',
  'mint_job_completed', 'mint_job_failed', 'mint_job_retried', 'mint_batch_status_changed',
  'mint_units_revoked', 'payload_packs_requested', 'payload_pack_completed', 'payload_pack_failed',
  'payload_pack_downloaded', 'member_changed', 'api_key_changed', 'settings_changed',
  'identifier_changed', 'signed_in', 'sign_in_failed'
)) not valid;
alter table mint_event validate constraint mint_event_event_type_check;
