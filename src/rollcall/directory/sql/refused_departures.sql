-- Departures that were refused while a tenant was suspended, made up for.

-- Has up to p_limit people leave who did so while the tenant was suspended, and takes them off the list. Whoever was let in
-- anew by hand since then, or is out already, is left as they are. p_change is the departure and p_call says who acts.
-- Returns how many were on the list, and how many left by this. Whoever calls holds the tenant.
-- Locks: the accounts by id; each user.
CREATE FUNCTION fn.take_out_refused(
    p_tenant uuid, p_limit integer, p_change jsonb, p_call jsonb, OUT listed integer, OUT left_now integer
) LANGUAGE plpgsql AS $$
DECLARE
    v_accounts uuid[] := ARRAY(SELECT account_id FROM public.refused_departures WHERE tenant_id = p_tenant
                                ORDER BY account_id LIMIT p_limit);
    v_one record;
BEGIN
    listed := cardinality(v_accounts);
    left_now := 0;
    PERFORM FROM public.accounts WHERE tenant_id = p_tenant AND id = ANY (v_accounts) ORDER BY id FOR UPDATE;
    FOR v_one IN
        SELECT r.account_id, r.request_id, r.token_label, s.id AS user_id
          FROM public.refused_departures r
          JOIN public.accounts a ON a.tenant_id = r.tenant_id AND a.id = r.account_id AND a.active AND a.epoch = r.epoch
          LEFT JOIN public.users s ON s.tenant_id = r.tenant_id AND s.account_id = r.account_id
         WHERE r.tenant_id = p_tenant AND r.account_id = ANY (v_accounts) ORDER BY r.account_id
    LOOP
        PERFORM fn.take_out_one(
            p_tenant, v_one.account_id, v_one.user_id, p_call, p_change || jsonb_build_object('reason', format(
                'deactivated by the identity provider while the tenant was suspended (token "%s", request %s)',
                v_one.token_label, v_one.request_id)));
        left_now := left_now + 1;
    END LOOP;
    DELETE FROM public.refused_departures WHERE tenant_id = p_tenant AND account_id = ANY (v_accounts);
END $$;

-- Has one person leave by the one door, and enters it. p_user is NULL where the resource is gone.
CREATE FUNCTION fn.take_out_one(p_tenant uuid, p_account uuid, p_user uuid, p_call jsonb, p_change jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_closed jsonb;
BEGIN
    IF p_user IS NULL THEN
        v_closed := fn.leave(p_tenant, p_account, p_change ->> 'reason', p_change ->> 'request_id',
                             (p_change ->> 'arrived_at')::timestamptz);
    ELSE
        v_closed := (fn.write_departure(p_tenant, p_user, p_change)).reason::jsonb;
    END IF;
    PERFORM fn.audit_write(
        p_tenant, p_call || jsonb_build_object('payload', jsonb_build_object(
            'reason', p_change ->> 'reason', 'closed', v_closed - 'epoch')),
        'done', NULL, NULL, ARRAY['user.deactivated'], p_account, p_account::text);
END $$;
