-- Answers to creations, kept for whoever repeats one with the same Idempotency-Key. Every answer is sealed under a key
-- that only the caller can derive. Callers without a tenant have the tenant that is all zeroes, as in the audit.

CREATE TABLE idempotency_keys (
    tenant_id UUID NOT NULL,
    caller_id UUID NOT NULL,
    name BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    status INTEGER NOT NULL,
    answer BYTEA NOT NULL,
    has_secret BOOLEAN NOT NULL,
    whole_answer BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, caller_id, name)
);
CREATE INDEX ix_idempotency_keys_age ON idempotency_keys (created_at);
CREATE INDEX ix_idempotency_keys_secret ON idempotency_keys (created_at) WHERE whole_answer IS NOT NULL;

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON idempotency_keys TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY fleet ON idempotency_keys TO rollcall_fleet USING (true);
GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO rollcall_fleet;

-- Holds a key until the transaction ends. False: somebody else has held it for two seconds.
CREATE FUNCTION hold_idempotency_key(p_tenant uuid, p_name bytea) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rollcall idempotency ' || p_tenant || encode(p_name, 'hex'), 0));
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
