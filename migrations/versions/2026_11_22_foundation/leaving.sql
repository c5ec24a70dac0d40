-- Leaving: the one door through which every way in is closed. Whoever calls has entered the tenant.

-- Ends what an account can do, in the caller's transaction. Doing it twice is the same as doing it once.
-- Returns how many live ones of each credential class were closed, or NULL when the account was not active.
CREATE FUNCTION leave(
    p_tenant uuid, p_account uuid, p_reason text, p_request_id text, p_arrived timestamptz
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_epoch integer;
    v_open record;
    v_sessions integer := 0;
    v_tokens integer := 0;
    v_passkeys integer := 0;
    v_external integer := 0;
    v_closed jsonb;
BEGIN
    -- The row lock waits for whoever is issuing a credential to this account right now (they hold FOR SHARE).
    UPDATE accounts
       SET active = false, epoch = epoch + 1, deactivated_at = v_now, deactivated_because = p_reason
     WHERE tenant_id = p_tenant AND id = p_account AND active
    RETURNING epoch INTO v_epoch;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- The classes are those of access/ways_in.py, in its order. Each statement is written out, so that its plan is kept;
    -- it runs if one look into the indexes of what is open, now that nothing can be issued any more, finds something.
    SELECT EXISTS (SELECT FROM sessions WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL)
               AS sessions,
           EXISTS (SELECT FROM tokens WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL)
               AS tokens,
           EXISTS (SELECT FROM passkeys WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL)
               AS passkeys,
           EXISTS (SELECT FROM external_credentials
                    WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL) AS external
      INTO v_open;
    IF v_open.sessions THEN
        WITH ended AS (
            UPDATE sessions SET closed_at = v_now, closed_because = 'person_left'
             WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at > v_now) INTO v_sessions FROM ended;
    END IF;
    IF v_open.tokens THEN
        -- In the order of the keys, as everybody who locks several tokens does.
        PERFORM FROM tokens WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
          ORDER BY id FOR NO KEY UPDATE;
        WITH ended AS (
            UPDATE tokens SET revoked_at = v_now, revoked_because = 'owner_left'
             WHERE tenant_id = p_tenant AND owner_id = p_account AND revoked_at IS NULL
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > v_now) INTO v_tokens FROM ended;
    END IF;
    IF v_open.passkeys THEN
        UPDATE passkeys SET closed_at = v_now, closed_because = 'person_left'
         WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL;
        GET DIAGNOSTICS v_passkeys = ROW_COUNT;
    END IF;
    IF v_open.external THEN
        WITH ended AS (
            UPDATE external_credentials SET closed_at = v_now, closed_because = 'person_left'
             WHERE tenant_id = p_tenant AND account_id = p_account AND closed_at IS NULL
            RETURNING expires_at)
        SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > v_now) INTO v_external FROM ended;
    END IF;
    v_closed := jsonb_build_object('sessions', v_sessions, 'tokens', v_tokens, 'passkeys', v_passkeys,
                                   'external', v_external);
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    VALUES (p_tenant, 'user.deactivated', p_account, p_request_id, jsonb_build_object(
        'epoch', v_epoch, 'reason', p_reason, 'closed', v_closed, 'arrived_at', least(p_arrived, v_now), 'closed_at', v_now,
        'transaction_id', pg_current_xact_id()::text));
    RETURN v_closed || jsonb_build_object('epoch', v_epoch);
END $$;

-- Settles departures: for each of these messages that is not done, what was closed and need not stay goes, the receipt
-- counts it, and the message is done. Returns the messages that this call settled.
-- Sessions go with their digests, and passkeys, which say which devices somebody has. Tokens and external credentials
-- stay as the history of what was given to whom. What was opened since, by whoever came back, has another epoch.
-- The tables grow faster than they are counted: a plan kept from when one was small would read all of it for each
-- departure. So each statement is planned for the table as it is.
CREATE FUNCTION settle_departures(p_tenant uuid, p_messages uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_message outbox;
    v_epoch integer;
    v_sessions integer;
    v_passkeys integer;
BEGIN
    -- In the order of their ids, as everybody who locks several messages.
    FOR v_message IN
        SELECT * FROM outbox
         WHERE tenant_id = p_tenant AND id = ANY (p_messages) AND topic = 'user.deactivated' AND done_at IS NULL
         ORDER BY id FOR UPDATE
    LOOP
        v_epoch := v_message.payload ->> 'epoch';
        DELETE FROM sessions
         WHERE tenant_id = p_tenant AND account_id = v_message.account_id AND closed_at IS NOT NULL AND epoch < v_epoch;
        GET DIAGNOSTICS v_sessions = ROW_COUNT;
        DELETE FROM passkeys
         WHERE tenant_id = p_tenant AND account_id = v_message.account_id AND closed_at IS NOT NULL AND epoch < v_epoch;
        GET DIAGNOSTICS v_passkeys = ROW_COUNT;
        INSERT INTO receipts (tenant_id, id, account_id, epoch, reason, request_id, transaction_id, arrived_at,
                              closed_at, closed, settled_at, purged)
        SELECT p_tenant, v_message.id, v_message.account_id, v_epoch, said.reason, v_message.request_id,
               said.transaction_id, said.arrived_at, said.closed_at, said.closed, clock_timestamp(),
               jsonb_build_object('sessions', v_sessions, 'passkeys', v_passkeys)
          FROM jsonb_to_record(v_message.payload) AS said (
               reason text, transaction_id text, arrived_at timestamptz, closed_at timestamptz, closed jsonb);
        UPDATE outbox SET done_at = clock_timestamp() WHERE tenant_id = p_tenant AND id = v_message.id;
        RETURN NEXT v_message.id;
    END LOOP;
END $$;

-- Receipts that are not complete, locked, with what their statements say besides.
CREATE FUNCTION hold_receipts(p_tenant uuid, p_receipts uuid[])
RETURNS TABLE (id uuid, account_id uuid, user_name text, slug text, reason text, request_id text, transaction_id text,
               arrived_at timestamptz, closed_at timestamptz, closed jsonb, now timestamptz)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
        SELECT r.id, r.account_id, a.user_name, t.slug, r.reason, r.request_id, r.transaction_id, r.arrived_at,
               r.closed_at, r.closed, clock_timestamp()
          FROM receipts r
          JOIN accounts a ON a.tenant_id = r.tenant_id AND a.id = r.account_id
          JOIN tenants t ON t.id = r.tenant_id
         WHERE r.tenant_id = p_tenant AND r.id = ANY (p_receipts) AND r.completed_at IS NULL
         ORDER BY r.id FOR NO KEY UPDATE OF r;
END $$;

-- Completes receipts that are held. Each of p_completed says id, completed_at, destinations and the signed statement.
CREATE FUNCTION complete_receipts(p_tenant uuid, p_completed jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_each record;
BEGIN
    FOR v_each IN
        SELECT * FROM jsonb_to_recordset(p_completed) AS c (
            id uuid, completed_at timestamptz, destinations jsonb, statement text)
    LOOP
        UPDATE receipts
           SET completed_at = v_each.completed_at, destinations = v_each.destinations, statement = v_each.statement
         WHERE tenant_id = p_tenant AND id = v_each.id AND completed_at IS NULL;
    END LOOP;
END $$;

-- Alerts ops, once, when a transaction leaves a tenant without an active admin: whoever was one has left, or has lost
-- the role by hand, by the provider's word, through a group or by an edit of the role rule. It runs as the transaction
-- commits, so that it sees what all of it came to, and only where somebody stopped being an active admin.
CREATE FUNCTION tell_without_admin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_tenant text := current_setting('rollcall.tenant', true);
    v_request_id text;
BEGIN
    IF current_setting('rollcall.told_without_admin', true) = NEW.tenant_id::text THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('rollcall.tenant', NEW.tenant_id::text, true);
    -- Two last admins who stop at the same moment wait for each other here, or neither would be the last.
    PERFORM pg_advisory_xact_lock(hashtextextended('admins ' || NEW.tenant_id, 0));
    IF NOT EXISTS (SELECT FROM accounts WHERE tenant_id = NEW.tenant_id AND active AND is_admin) THEN
        -- The request is the one whose change this transaction has just announced.
        SELECT request_id INTO v_request_id FROM outbox
         WHERE tenant_id = NEW.tenant_id AND id >= uuidv7(transaction_timestamp() - clock_timestamp())
           AND (account_id = NEW.id OR account_id IS NULL)
         ORDER BY id DESC LIMIT 1;
        v_request_id := coalesce(v_request_id, 'none');
        INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
        VALUES (NEW.tenant_id, 'tenant.without_admin', NEW.id, v_request_id, '{}');
        PERFORM audit_write(
            NEW.tenant_id, jsonb_build_object('request_id', v_request_id, 'action', 'tenant.without_admin',
                                              'actor_kind', 'system', 'actor_label', 'rollcall'),
            'done', NULL, NULL, ARRAY['tenant.without_admin'], NEW.id, NEW.id::text);
        PERFORM set_config('rollcall.told_without_admin', NEW.tenant_id::text, true);
    END IF;
    PERFORM set_config('rollcall.tenant', coalesce(v_tenant, ''), true);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER without_admin AFTER UPDATE OF active, is_admin ON accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.active AND OLD.is_admin AND NOT (NEW.active AND NEW.is_admin))
    EXECUTE FUNCTION tell_without_admin();
