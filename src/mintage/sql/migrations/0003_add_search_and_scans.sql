-- Search by prefix, and scans recorded by the service.
select 1;
