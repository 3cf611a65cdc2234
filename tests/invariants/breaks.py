"""For each check of sql/checks/, statements that make what it says untrue on the data of `busy`.

SERIAL, LOTTED, BROUGHT are ids of minted batches (serial mode; batch mode with lots A of 3 and B of 7;
brought serials), QUEUED and DONE ids of jobs. A statement does what no call can do.
"""

from __future__ import annotations

BREAKS = {
    "allocations_add_up": [
        "update product_batch set allocated_quantity = allocated_quantity + 1",
        "update product_batch set allocated_quantity = allocated_quantity - 1",
        "update mint_batch set allocated_quantity = allocated_quantity - 1 where id = SERIAL",
        "update mint_batch set status = 'voided', voided_at = now() where status = 'failed'",
    ],
    "batches_hold_what_they_say": [
        "delete from mint_unit where mint_batch_id = SERIAL and unit_no = 9",
        """
        insert into mint_unit (brand_id, id, mint_batch_id, unit_no, created_at)
        select brand_id, (left(id::text, 19) || 'bfff-ffffffffffff')::uuid, mint_batch_id, 10, now()
        from mint_unit
        where mint_batch_id = LOTTED and unit_no = 9
        """,
        "update mint_batch set minted_quantity = minted_quantity - 1 where status = 'failed'",
    ],
    "brought_serials_are_minted": [
        "update mint_unit set serial_number = 'Z' where mint_batch_id = BROUGHT and unit_no = 1",
        "update mint_unit set unit_no = 100 where mint_batch_id = BROUGHT and unit_no = 1",
        "update serial_registry set unit_no = unit_no + 100 where mint_batch_id = BROUGHT",
        "update serial_registry set unit_no = 100 where mint_batch_id = BROUGHT and unit_no = 9",
        "update serial_registry set mint_batch_id = SERIAL where mint_batch_id = BROUGHT and unit_no = 0",
        "delete from mint_unit where mint_batch_id = BROUGHT and unit_no = 1",
        "delete from serial_registry where mint_batch_id = BROUGHT and unit_no = 1",
        "delete from serial_registry where serial_number = 'T9'",
        "delete from serial_registry",
        "insert into serial_registry select brand_id, 'Z', SERIAL, 0 from brand_host limit 1",
    ],
    "events_add_up": [
        "delete from mint_event where event_type = 'mint_units_created'",
        """
        insert into mint_event
        select brand_id, gen_random_uuid(), mint_job_id, mint_batch_id, event_type, actor_type, actor_id,
          payload, created_at
        from mint_event
        where event_type = 'mint_units_created'
        limit 1
        """,
        """
        update mint_event set payload = payload || '{"count": 1}'
        where event_type = 'mint_units_created'
        """,
        """
        update mint_event set payload = payload || '{"first_unit_no": 0}'
        where event_type = 'mint_units_created'
        """,
    ],
    "figures_add_up": [
        "delete from brand_total where metric = 'units_requested'",
        "update brand_total set value = value + 1 where metric = 'batches_minted'",
        "update brand_total set value = value + 1 where metric = 'batches_in_progress'",
        "update brand_total set value = value - 1 where metric = 'jobs_failed'",
        "update brand_total set value = value + 1 where metric = 'units_minted'",
        "update tally_delta set delta = delta + 1 where metric = 'jobs_queued'",
        "update tally_delta set delta = 7 where metric = 'packs_completed'",
        "update unit_state set scan_count = 1",
    ],
    "jobs_and_batches_agree": [
        "update mint_job set status = 'PROCESSING', finished_at = null where id = DONE",
        "update mint_batch set status = 'processing' where mint_job_id = QUEUED",
        "delete from mint_batch where mint_job_id = QUEUED",
        "update mint_job set status = 'PREFLIGHTED' where id = QUEUED",
        "update mint_batch set status = 'queued' where status = 'failed'",
    ],
    "lots_add_up": [
        "update mint_lot set quantity = quantity + 1 where lot_code = 'B'",
        "update mint_lot set first_unit_no = first_unit_no + 1 where lot_code = 'B'",
        "delete from mint_lot where lot_code = 'A'",
        "delete from mint_lot",
        "update mint_lot set mint_batch_id = SERIAL where mint_batch_id = LOTTED",
    ],
    "packs_have_their_files_facts": [
        "update payload_pack set storage_path = 'elsewhere/' || storage_path",
        "update payload_pack set sha256 = left(sha256, 63)",
        "update payload_pack set unit_count = unit_count + 1 where pack_index = 1",
        "update payload_pack set first_unit_no = first_unit_no + 1 where pack_index = 2",
        "delete from payload_pack where pack_index = 2",
        "delete from payload_pack",
        """
        update payload_pack
        set status = 'failed', storage_path = null, sha256 = null, byte_size = null, completed_at = null
        where pack_index = 2
        """,
    ],
    "tallies_of_activation_add_up": [
        "delete from tally_delta where metric = 'units_activated'",
        "update tally_delta set delta = delta + 1 where metric = 'units_activated'",
        "update tally_delta set mint_batch_id = LOTTED where metric = 'units_activated'",
        "delete from unit_state",
        "update mint_lot set activated_at = now() where lot_code = 'A'",
    ],
    "tallies_of_minting_add_up": [
        "delete from tally_delta where metric = 'units_minted'",
        "delete from brand_tally",
        "delete from batch_tally",
        "update brand_tally set value = value + 1",
        "update brand_tally set day = day - 1",
        "update batch_tally set value = value - 1",
        "update tally_delta set delta = delta + 1 where metric = 'units_minted'",
        "update batch_tally set mint_batch_id = QUEUED where mint_batch_id = LOTTED",
    ],
    "tallies_of_statuses_add_up": [
        "delete from tally_delta where metric = 'units_active'",
        "update batch_tally set value = value - 1 where metric = 'units_active'",
        "update unit_state set revoked_at = now()",
        "update unit_state set activated_at = null",
        "update mint_lot set activated_at = now() where lot_code = 'A'",
    ],
    "totals_follow_their_batches": [
        "update brand_total set value = value + 1 where metric = 'units_active'",
        "update brand_total set value = value + 1 where metric = 'units_minted'",
        "delete from brand_total",
        "delete from brand_tally",
        "update batch_tally set value = value + 1 where metric = 'units_active'",
        "insert into batch_tally select brand_id, id, 'batches_voided', 1 from mint_batch where id = BROUGHT",
    ],
    "tallies_of_scans_add_up": [
        "delete from tally_delta where metric = 'scans'",
        "update tally_delta set delta = delta + 1 where metric = 'scans'",
        "insert into scan_event select brand_id, gen_random_uuid(), scanned_at, unit_id, mint_lot_id, "
        "mint_batch_id, product_id, outcome, traffic_class from scan_event",
    ],
    "unit_numbers_are_whole": [
        "update mint_unit set unit_no = 8 where mint_batch_id = SERIAL and unit_no = 9",
        "delete from mint_unit where mint_batch_id = SERIAL and unit_no = 4",
        "update mint_unit set unit_no = unit_no + 1 where mint_batch_id = SERIAL",
    ],
    "units_lie_in_their_batch": [
        "update mint_unit set id = gen_random_uuid() where mint_batch_id = SERIAL and unit_no = 1",
        "update mint_unit set mint_batch_id = LOTTED where mint_batch_id = SERIAL and unit_no = 1",
        "update mint_unit set mint_batch_id = gen_random_uuid() where unit_no = 1",
        "update mint_unit set unit_no = -1 where mint_batch_id = SERIAL and unit_no = 0",
        "update mint_unit set unit_no = 10 where mint_batch_id = SERIAL and unit_no = 0",
        "update mint_unit set serial_number = null where mint_batch_id = SERIAL and unit_no = 0",
        "update mint_unit set serial_number = 'Z' where mint_batch_id = SERIAL and unit_no = 0",
        "update mint_unit set serial_number = 'Z' where mint_batch_id = LOTTED and unit_no = 0",
    ],
    "work_is_open_for_unfinished_jobs_only": [
        "delete from work_item where kind = 'mint_job'",
        "delete from work_item where kind = 'payload_pack'",
        "insert into work_item select 'mint_job', brand_id, id, now(), now() from mint_job where id = DONE",
        """
        insert into work_item
        select 'mint_job', brand_id, gen_random_uuid(), now(), now() from mint_job limit 1
        """,
        """
        insert into work_item
        select 'payload_pack', brand_id, id, now(), now() from payload_pack where status = 'completed'
        """,
        "update work_item set kind = 'payload_pack' where ref_id = QUEUED",
        "update work_item set brand_id = gen_random_uuid()",
    ],
}
