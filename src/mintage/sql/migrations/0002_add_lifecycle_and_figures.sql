-- Lifecycle of batches and jobs, revoked units, and the figures that follow them.
select 1;
