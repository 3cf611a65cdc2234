"""How Mintage speaks to PostgreSQL. What it says is in sql/."""
