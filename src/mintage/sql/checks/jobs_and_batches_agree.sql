-- a job's status and its batch's status say the same
select
  job.id as mint_job_id,
  job.status,
  batch.status as batch_status
from mint_job as job
left join mint_batch as batch on batch.brand_id = $1 and batch.mint_job_id = job.id
where job.brand_id = $1
  and case job.status
    when 'PREFLIGHTED' then batch.id is null
    when 'QUEUED' then batch.status in ('draft', 'queued')
    when 'RESERVED' then batch.status in ('draft', 'queued', 'processing')
    when 'PROCESSING' then batch.status = 'processing'
    when 'COMPLETED' then batch.status in ('minted', 'exported', 'printed', 'applied', 'voided')
    when 'FAILED' then batch.status in ('failed', 'voided')
  end is not true
order by job.id
