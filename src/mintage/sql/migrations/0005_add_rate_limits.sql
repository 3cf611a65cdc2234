-- Rate limits shared by all processes.
select 1;
