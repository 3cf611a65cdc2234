-- an unfinished job has its work item, a finished one none; the same for packs
select
  'mint_job' as kind,
  coalesce(job.id, item.ref_id) as ref_id,
  job.status
from (select id, status from mint_job where brand_id = $1) as job
full join (select ref_id from work_item where kind = 'mint_job' and brand_id = $1) as item on item.ref_id = job.id
where (item.ref_id is not null) <> coalesce(job.status in ('QUEUED', 'RESERVED', 'PROCESSING'), false)
union all
select
  'payload_pack',
  coalesce(pack.id, item.ref_id),
  pack.status
from (select id, status from payload_pack where brand_id = $1) as pack
full join (select ref_id from work_item where kind = 'payload_pack' and brand_id = $1) as item on item.ref_id = pack.id
where (item.ref_id is not null) <> coalesce(pack.status in ('pending', 'generating'), false)
order by 1, 2
