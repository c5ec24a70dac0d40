-- Leaving: the one door through which every way in is closed. Whoever calls has entered the tenant.

-- Ends what an account can do, in the caller's transaction. Doing it twice is the same as doing it once.
-- Returns how many live ones of each credential class were closed, or NULL when the account was not active. p_beside is a
-- topic that is announced beside the departure, for a second statement that fills the outbox would cost as much again.
-- Locks: the account; it waits for whoever is issuing a credential to it right now, and holds it FOR SHARE.
CREATE FUNCTION fn.leave(
    p_tenant uuid, p_account uuid, p_reason text, p_request_id text, p_arrived timestamptz, p_beside text DEFAULT NULL
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_epoch integer;
    v_closed jsonb;
    v_said jsonb := '{}';
BEGIN
    UPDATE public.accounts
       SET active = false, epoch = epoch + 1, deactivated_at = v_now, deactivated_because = p_reason
     WHERE tenant_id = p_tenant AND id = p_account AND active
    RETURNING epoch INTO v_epoch;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    v_closed := fn.close_ways_in(p_tenant, p_account, v_now);
    IF v_closed ? 'restricted' THEN
        v_said := jsonb_build_object('restricted', v_closed -> 'restricted');
        v_closed := v_closed - 'restricted';
    END IF;
    v_said := v_said || jsonb_build_object(
        'epoch', v_epoch, 'reason', p_reason, 'closed', v_closed, 'arrived_at', least(p_arrived, v_now), 'closed_at', v_now,
        'transaction_id', pg_current_xact_id()::text);
    INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e.topic, p_account, p_request_id, e.payload
      FROM (VALUES ('user.deactivated', v_said), (p_beside, '{}')) AS e (topic, payload) WHERE e.topic IS NOT NULL;
    RETURN v_closed || jsonb_build_object('epoch', v_epoch);
END $$;

-- Closes every credential of an account that is closed itself; returns how many live ones of each class there were. Where the
-- tenant has chosen that a connection outlives its owner, its tokens stay, for what takes away; they are counted as restricted.
-- The classes are those of access/ways_in.py, in its order. Each statement is written out, so that its plan is kept; it
-- runs if one look into the indexes of what is open, now that nothing can be issued any more, finds something.
-- Locks: the tokens, by their ids, as everybody who locks several.
CREATE FUNCTION fn.close_ways_in(p_tenant uuid, p_account uuid, p_now timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_open record;
    v_sessions integer := 0;
    v_tokens integer := 0;
    v_passkeys integer := 0;
    v_external integer := 0;
    v_passwords integer := 0;
    v_restricted integer := 0;
BEGIN
    SELECT EXISTS (SELECT FROM public.sessions
                    WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL) AS sessions,
           EXISTS (SELECT FROM public.tokens
                    WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL) AS tokens,
           EXISTS (SELECT FROM public.passkeys
                    WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL) AS passkeys,
           EXISTS (SELECT FROM public.external_credentials
                    WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL) AS external,
           EXISTS (SELECT FROM public.passwords
                    WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL) AS passwords
      INTO v_open;
    IF v_open.sessions THEN
        WITH ended AS (
            UPDATE public.sessions SET closed_at = p_now, closed_because = 'person_left'
             WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at > p_now) INTO v_sessions FROM ended;
    END IF;
    IF v_open.tokens THEN
        PERFORM FROM public.tokens WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
          ORDER BY id FOR NO KEY UPDATE;
        v_restricted := fn.outliving(p_tenant, p_account, p_now);
        WITH ended AS (
            UPDATE public.tokens SET revoked_at = p_now, revoked_because = 'owner_left'
             WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
               AND (v_restricted = 0 OR NOT 'scim' = ANY (scopes))
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > p_now) INTO v_tokens FROM ended;
    END IF;
    IF v_open.passkeys THEN
        UPDATE public.passkeys SET closed_at = p_now, closed_because = 'person_left'
         WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL;
        GET DIAGNOSTICS v_passkeys = ROW_COUNT;
    END IF;
    IF v_open.external THEN
        WITH ended AS (
            UPDATE public.external_credentials SET closed_at = p_now, closed_because = 'person_left'
             WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > p_now) INTO v_external FROM ended;
    END IF;
    IF v_open.passwords THEN
        UPDATE public.passwords SET closed_at = p_now, closed_because = 'person_left', hash = ''
         WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL;
        GET DIAGNOSTICS v_passwords = ROW_COUNT;
    END IF;
    RETURN jsonb_build_object('sessions', v_sessions, 'tokens', v_tokens, 'passkeys', v_passkeys, 'external', v_external,
                              'passwords', v_passwords) || CASE WHEN v_restricted = 0 THEN '{}'
        ELSE jsonb_build_object('restricted', jsonb_build_object('tokens', v_restricted)) END;
END $$;

-- How many live tokens for SCIM outlive their owner, as the tenant has chosen; none where it has not.
CREATE FUNCTION fn.outliving(p_tenant uuid, p_account uuid, p_now timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM public.tokens t JOIN public.tenants n ON n.id = t.tenant_id
             WHERE t.tenant_id = p_tenant AND t.owner_id = p_account AND t.revoked_at IS NULL AND 'scim' = ANY (t.scopes)
               AND (t.expires_at IS NULL OR t.expires_at > p_now) AND n.owner_leaves = 'offboarding_only');
END $$;
