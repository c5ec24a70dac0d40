ALTER TABLE audit_entries DROP COLUMN commitment;
DROP INDEX ix_outbox_dead;
DROP INDEX ix_sessions_expiry;
