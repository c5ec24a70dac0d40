-- What finds the sessions that are over, and departures that were given up, without reading all the others.
CREATE INDEX ix_sessions_expiry ON sessions (expires_at);
CREATE INDEX ix_outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL;

-- For a commitment to each entry, so that what was written can be proved complete later; nothing fills it yet.
ALTER TABLE audit_entries ADD COLUMN commitment BYTEA;
