-- Forgetting: what can no longer be used by anybody goes after a time. Whatever moment is given, what is not over stays.
-- Locks: the rows, skipping those that others have; so nobody is waited for.

-- Deletes up to p_limit sessions that ended before p_before; returns how many. What a departure closed is purged with its
-- receipt: as long as that may still come, until p_left, it stays.
CREATE FUNCTION fn.forget_sessions(p_before timestamptz, p_left timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.sessions WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.sessions
         WHERE expires_at < least(p_before, now())
           AND (closed_because IS DISTINCT FROM 'person_left' OR closed_at < p_left)
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_sessions(timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_sessions(timestamptz, timestamptz, integer) TO rollcall_fleet;

-- Deletes up to p_limit tokens that were revoked or expired before p_before; returns how many.
CREATE FUNCTION fn.forget_tokens(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.tokens WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.tokens WHERE least(revoked_at, expires_at) < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_tokens(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_tokens(timestamptz, integer) TO rollcall_fleet;

-- Deletes up to p_limit passkeys that were closed before p_before; returns how many.
CREATE FUNCTION fn.forget_passkeys(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.passkeys WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.passkeys WHERE closed_at < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_passkeys(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_passkeys(timestamptz, integer) TO rollcall_fleet;

-- Deletes up to p_limit passwords that were closed before p_before; returns how many.
CREATE FUNCTION fn.forget_passwords(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.passwords WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.passwords WHERE closed_at < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_passwords(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_passwords(timestamptz, integer) TO rollcall_fleet;

-- Deletes up to p_limit external credentials that were closed or expired before p_before; returns how many.
CREATE FUNCTION fn.forget_external(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.external_credentials WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.external_credentials
         WHERE least(closed_at, expires_at) < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_external(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_external(timestamptz, integer) TO rollcall_fleet;

-- Deletes up to p_limit challenges that expired before p_before; returns how many.
CREATE FUNCTION fn.forget_challenges(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.passkey_challenges WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.passkey_challenges WHERE expires_at < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_challenges(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_challenges(timestamptz, integer) TO rollcall_fleet;
