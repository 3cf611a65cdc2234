-- Resolving many keys of a brand at once.
select 1;
