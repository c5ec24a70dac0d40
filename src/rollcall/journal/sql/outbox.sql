-- The outbox: what happened, for those who are to hear of it.

-- Hands events to the outbox.
CREATE FUNCTION fn.announce(p_tenant uuid, p_account uuid, p_request_id text, p_events jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p_account, p_request_id, e - 'topic' FROM jsonb_array_elements(p_events) e;
END $$;

CREATE FUNCTION fn.event_names(p_change jsonb) RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT coalesce(array_agg(e ->> 'topic'), '{}') FROM jsonb_array_elements(p_change -> 'events') e $$;
