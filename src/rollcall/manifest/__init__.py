"""``tenants.toml``: plans and customers described in one file; read, compared with the database, applied."""
