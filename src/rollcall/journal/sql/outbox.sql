-- The outbox: what happened, for those who are to hear of it.

-- Hands events to the outbox; returns their topics.
CREATE FUNCTION fn.announce(p_tenant uuid, p_account uuid, p_request_id text, p_events jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_topics text[] := '{}';
    v_topic text;
BEGIN
    -- Nearly always there is one, and a statement for each is the cheapest for one.
    FOR i IN 0 .. coalesce(jsonb_array_length(p_events), 0) - 1 LOOP
        v_topic := p_events -> i ->> 'topic';
        INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
        VALUES (p_tenant, v_topic, p_account, p_request_id, (p_events -> i) - 'topic');
        v_topics := v_topics || v_topic;
    END LOOP;
    RETURN v_topics;
END $$;

-- Deletes up to p_limit messages that were dealt with before p_before, with their deliveries; returns how many.
-- Whoever replays one locks it: so messages are locked first and looked at then, by a statement that sees every replay
-- which was committed before. What a receipt still has to say of its destinations stands in the deliveries, so the message
-- of a receipt that is not complete stays.
-- Locks: the messages, skipping those that others have; by the foreign key their deliveries.
CREATE FUNCTION fn.forget_done_messages(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_tenants uuid[];
    v_ids uuid[];
    v_gone bigint;
BEGIN
    SELECT array_agg(held.tenant_id), array_agg(held.id) INTO v_tenants, v_ids
      FROM (SELECT o.tenant_id, o.id FROM public.outbox o WHERE o.done_at < p_before AND fn.is_told(o.tenant_id, o.id)
             LIMIT p_limit FOR UPDATE SKIP LOCKED) AS held;
    DELETE FROM public.outbox o USING unnest(v_tenants, v_ids) AS held (tenant_id, id)
     WHERE o.tenant_id = held.tenant_id AND o.id = held.id AND fn.is_told(o.tenant_id, o.id);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_done_messages(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_done_messages(timestamptz, integer) TO rollcall_fleet;

-- Whether nothing waits for a message any more: no delivery is pending, and no receipt of it is incomplete.
CREATE FUNCTION fn.is_told(p_tenant uuid, p_message uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT FROM public.deliveries
                        WHERE tenant_id = p_tenant AND message_id = p_message AND state = 'pending')
       AND NOT EXISTS (SELECT FROM public.receipts
                        WHERE tenant_id = p_tenant AND id = p_message AND completed_at IS NULL)
$$;

-- Deletes up to p_limit messages that were given up before p_before, with their deliveries; returns how many.
CREATE FUNCTION fn.forget_dead_messages(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.outbox WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.outbox WHERE dead_at < p_before AND done_at IS NULL
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_dead_messages(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_dead_messages(timestamptz, integer) TO rollcall_fleet;
