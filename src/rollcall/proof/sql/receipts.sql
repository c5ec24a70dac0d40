-- Receipts: what a departure closed, counted, and what its statement says.

-- Settles departures: for each of these messages that is not done, what was closed and need not stay goes, the receipt
-- counts it, and the message is done. Returns the messages that this call settled.
-- Sessions go with their digests, passwords with their hashes, and passkeys, which say which devices somebody has. Tokens
-- and external credentials stay as the history of what was given to whom. What was opened since, by whoever came back, has another epoch.
-- The tables grow faster than they are counted: a plan kept from when one was small would read all of it for each
-- departure. So each statement is planned for the table as it is.
CREATE FUNCTION fn.settle_departures(p_tenant uuid, p_messages uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_message public.outbox;
    v_epoch integer;
    v_sessions integer;
    v_passkeys integer;
    v_passwords integer;
BEGIN
    -- In the order of their ids, as everybody who locks several messages.
    FOR v_message IN
        SELECT * FROM public.outbox
         WHERE tenant_id = p_tenant AND id = ANY (p_messages) AND topic = 'user.deactivated' AND done_at IS NULL
         ORDER BY id FOR UPDATE
    LOOP
        v_epoch := v_message.payload ->> 'epoch';
        DELETE FROM public.sessions
         WHERE tenant_id = p_tenant AND account_id = v_message.account_id AND closed_at IS NOT NULL AND epoch < v_epoch;
        GET DIAGNOSTICS v_sessions = ROW_COUNT;
        DELETE FROM public.passkeys
         WHERE tenant_id = p_tenant AND account_id = v_message.account_id AND closed_at IS NOT NULL AND epoch < v_epoch;
        GET DIAGNOSTICS v_passkeys = ROW_COUNT;
        v_passwords := 0;
        IF (v_message.payload #>> '{closed,passwords}')::integer > 0 THEN  -- so nobody else pays for it
            DELETE FROM public.passwords
             WHERE tenant_id = p_tenant AND account_id = v_message.account_id AND closed_at IS NOT NULL AND epoch < v_epoch;
            GET DIAGNOSTICS v_passwords = ROW_COUNT;
        END IF;
        INSERT INTO public.receipts (tenant_id, id, account_id, epoch, reason, request_id, transaction_id, arrived_at,
                              closed_at, closed, settled_at, purged, restricted)
        SELECT p_tenant, v_message.id, v_message.account_id, v_epoch, said.reason, v_message.request_id,
               said.transaction_id, said.arrived_at, said.closed_at, said.closed, clock_timestamp(),
               jsonb_build_object('sessions', v_sessions, 'passkeys', v_passkeys, 'passwords', v_passwords),
               said.restricted
          FROM jsonb_to_record(v_message.payload) AS said (
               reason text, transaction_id text, arrived_at timestamptz, closed_at timestamptz, closed jsonb,
               restricted jsonb);
        UPDATE public.outbox SET done_at = clock_timestamp() WHERE tenant_id = p_tenant AND id = v_message.id;
        RETURN NEXT v_message.id;
    END LOOP;
END $$;

-- Receipts that are not complete, locked, with what their statements say besides.
CREATE FUNCTION fn.hold_receipts(p_tenant uuid, p_receipts uuid[])
RETURNS TABLE (id uuid, account_id uuid, user_name text, slug text, reason text, request_id text, transaction_id text,
               arrived_at timestamptz, closed_at timestamptz, closed jsonb, restricted jsonb, now timestamptz)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
        SELECT r.id, r.account_id, a.user_name, t.slug, r.reason, r.request_id, r.transaction_id, r.arrived_at,
               r.closed_at, r.closed, r.restricted, clock_timestamp()
          FROM public.receipts r
          JOIN public.accounts a ON a.tenant_id = r.tenant_id AND a.id = r.account_id
          JOIN public.tenants t ON t.id = r.tenant_id
         WHERE r.tenant_id = p_tenant AND r.id = ANY (p_receipts) AND r.completed_at IS NULL
         ORDER BY r.id FOR NO KEY UPDATE OF r;
END $$;

-- Completes receipts that are held. Each of p_completed says id, completed_at, destinations and the signed statement.
CREATE FUNCTION fn.complete_receipts(p_tenant uuid, p_completed jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_each record;
BEGIN
    FOR v_each IN
        SELECT * FROM jsonb_to_recordset(p_completed) AS c (
            id uuid, completed_at timestamptz, destinations jsonb, statement text)
    LOOP
        UPDATE public.receipts
           SET completed_at = v_each.completed_at, destinations = v_each.destinations, statement = v_each.statement
         WHERE tenant_id = p_tenant AND id = v_each.id AND completed_at IS NULL;
    END LOOP;
END $$;
