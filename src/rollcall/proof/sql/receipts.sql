-- Receipts: what a departure closed, counted, and what its statement says.

-- Settles departures: for each of these messages that is not done, what was closed and need not stay goes, the receipt
-- counts it, and the message is done. Returns the messages that this call settled.
-- Sessions go with their digests, passwords with their hashes, and passkeys, which say which devices somebody has. Tokens
-- and external credentials stay as the history of what was given to whom. What was opened since, by whoever came back, has
-- another epoch: each departure raises it by one, and counts what was closed in the epoch that it ended.
-- Each statement is for all of them: planning one under row-level security takes longer than running it.
-- The tables grow faster than they are counted: a plan kept from when one was small would read all of it for each
-- departure. So each statement is planned for the table as it is, and finds what it needs by an index.
CREATE FUNCTION fn.settle_departures(p_tenant uuid, p_messages uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    v_due uuid[];
    v_people uuid[];
BEGIN
    -- In the order of their ids, as everybody who locks several messages.
    SELECT array_agg(due.id), array_agg(due.account_id) INTO v_due, v_people FROM (
        SELECT id, account_id FROM public.outbox
         WHERE tenant_id = p_tenant AND id = ANY (p_messages) AND topic = 'user.deactivated' AND done_at IS NULL
         ORDER BY id FOR UPDATE) due;
    IF v_due IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH leaving AS MATERIALIZED (
        SELECT o.id, o.account_id, o.request_id, o.payload, (o.payload ->> 'epoch')::integer - 1 AS epoch
          FROM public.outbox o WHERE o.tenant_id = p_tenant AND o.id = ANY (v_due)),
    gone_sessions AS (
        DELETE FROM public.sessions s
         WHERE s.tenant_id = p_tenant AND s.account_id = ANY (v_people) AND s.closed_at IS NOT NULL
           AND EXISTS (SELECT FROM leaving l WHERE l.account_id = s.account_id AND l.epoch = s.epoch)
        RETURNING s.account_id, s.epoch),
    gone_passkeys AS (
        DELETE FROM public.passkeys k
         WHERE k.tenant_id = p_tenant AND k.account_id = ANY (v_people) AND k.closed_at IS NOT NULL
           AND EXISTS (SELECT FROM leaving l WHERE l.account_id = k.account_id AND l.epoch = k.epoch)
        RETURNING k.account_id, k.epoch),
    gone_passwords AS (
        DELETE FROM public.passwords w
         WHERE w.tenant_id = p_tenant AND w.account_id = ANY (v_people) AND w.closed_at IS NOT NULL
           AND EXISTS (SELECT FROM leaving l WHERE l.account_id = w.account_id AND l.epoch = w.epoch)
        RETURNING w.account_id, w.epoch),
    proven AS (
        INSERT INTO public.receipts (tenant_id, id, account_id, epoch, reason, request_id, transaction_id, arrived_at,
                              closed_at, closed, settled_at, purged, restricted)
        SELECT p_tenant, l.id, l.account_id, l.epoch + 1, said.reason, l.request_id, said.transaction_id, said.arrived_at,
               said.closed_at, said.closed, clock_timestamp(), jsonb_build_object(
                   'sessions', (SELECT count(*) FROM gone_sessions g
                                 WHERE g.account_id = l.account_id AND g.epoch = l.epoch),
                   'passkeys', (SELECT count(*) FROM gone_passkeys g
                                 WHERE g.account_id = l.account_id AND g.epoch = l.epoch),
                   'passwords', (SELECT count(*) FROM gone_passwords g
                                  WHERE g.account_id = l.account_id AND g.epoch = l.epoch)),
               said.restricted
          FROM leaving l
         CROSS JOIN LATERAL jsonb_to_record(l.payload) AS said (
               reason text, transaction_id text, arrived_at timestamptz, closed_at timestamptz, closed jsonb,
               restricted jsonb)
         ORDER BY l.id)
    UPDATE public.outbox o SET done_at = clock_timestamp() WHERE o.tenant_id = p_tenant AND o.id = ANY (v_due)
    RETURNING o.id;
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

-- Completes receipts that are held, by one statement. Each of p_completed says id, completed_at, destinations and the signed
-- statement.
CREATE FUNCTION fn.complete_receipts(p_tenant uuid, p_completed jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    UPDATE public.receipts r
       SET completed_at = c.completed_at, destinations = c.destinations, statement = c.statement
      FROM jsonb_to_recordset(p_completed) AS c (
           id uuid, completed_at timestamptz, destinations jsonb, statement text)
     WHERE r.tenant_id = p_tenant AND r.id = c.id AND r.completed_at IS NULL;
END $$;
