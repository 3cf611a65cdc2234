"""The public scan side over HTTP, on real rows of a real PostgreSQL."""
