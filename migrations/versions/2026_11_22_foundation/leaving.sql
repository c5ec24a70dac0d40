-- Leaving: the one door through which every way in is closed. Whoever calls has entered the tenant.

-- Ends what an account can do, in the caller's transaction. Doing it twice is the same as doing it once.
-- Returns how many live ones of each credential class were closed, or NULL when the account was not active.
CREATE FUNCTION leave(
    p_tenant uuid, p_account uuid, p_reason text, p_request_id text, p_arrived timestamptz
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_epoch integer;
    v_was_admin boolean;
    v_sessions integer;
    v_tokens integer;
    v_closed jsonb;
BEGIN
    -- The row lock waits for whoever is issuing a credential to this account right now (they hold FOR SHARE).
    UPDATE accounts
       SET active = false, epoch = epoch + 1, deactivated_at = v_now, deactivated_because = p_reason
     WHERE tenant_id = p_tenant AND id = p_account AND active
    RETURNING epoch, is_admin INTO v_epoch, v_was_admin;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    WITH ended AS (
        UPDATE sessions SET closed_at = v_now, closed_because = 'person_left'
         WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL
        RETURNING expires_at)
    SELECT count(*) FILTER (WHERE expires_at > v_now) INTO v_sessions FROM ended;
    -- In the order of the keys, as everybody who locks several tokens does.
    PERFORM FROM tokens WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
      ORDER BY id FOR NO KEY UPDATE;
    WITH ended AS (
        UPDATE tokens SET revoked_at = v_now, revoked_because = 'owner_left'
         WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
        RETURNING expires_at)
    SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > v_now) INTO v_tokens FROM ended;
    v_closed := jsonb_build_object('sessions', v_sessions, 'tokens', v_tokens);
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    VALUES (p_tenant, 'user.deactivated', p_account, p_request_id, jsonb_build_object(
        'epoch', v_epoch, 'reason', p_reason, 'closed', v_closed, 'arrived_at', p_arrived, 'closed_at', v_now,
        'transaction_id', pg_current_xact_id()::text));
    IF v_was_admin THEN
        -- Two last admins who leave at the same moment wait for each other here, or neither would be the last.
        PERFORM pg_advisory_xact_lock(hashtextextended('admins ' || p_tenant, 0));
        IF NOT EXISTS (SELECT FROM accounts WHERE tenant_id = p_tenant AND active AND is_admin) THEN
            INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
            VALUES (p_tenant, 'tenant.without_admin', p_account, p_request_id, '{}');
            v_closed := v_closed || '{"last_admin": true}';
        END IF;
    END IF;
    RETURN v_closed || jsonb_build_object('epoch', v_epoch);
END $$;
