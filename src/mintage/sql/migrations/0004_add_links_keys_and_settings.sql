-- Links of products, API keys in use, settings of brands.
select 1;
