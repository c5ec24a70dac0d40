-- Answers kept for a retried call.

-- Holds a key until the transaction ends. False: somebody else has held it for two seconds.
CREATE FUNCTION fn.hold_idempotency_key(p_tenant uuid, p_name bytea) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rollcall idempotency ' || p_tenant || encode(p_name, 'hex'), 0));
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
