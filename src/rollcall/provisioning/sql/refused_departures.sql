-- Departures that are refused because the tenant is suspended: kept, so that they are made up for as it is resumed.

-- Keeps whom a refused call has leave, and forgets whom it says to be active. Returns how many of those who leave are kept by
-- it or were before; NULL if the tenant is not suspended any more, and the call is to be judged anew.
-- Only for a token that would be let in if the tenant were not suspended. A row for each person, however often they leave.
-- Locks: the tenant, shared, so that whoever resumes it sees what was kept; then the rows.
CREATE FUNCTION fn.keep_refused_departures(
    p_tenant uuid, p_token uuid, p_digest bytea, p_leaving uuid[], p_staying uuid[], p_call jsonb
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_tenant public.tenants;
    v_label text;
    v_kept integer;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    SELECT * INTO v_tenant FROM public.tenants WHERE id = p_tenant FOR SHARE;
    IF v_tenant.status <> 'suspended' THEN
        RETURN NULL;
    END IF;
    v_tenant.status := 'active';
    SELECT t.label INTO v_label
      FROM public.tokens t
      JOIN public.plans p ON p.key = v_tenant.plan
      LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_token AND fn.same_digest(t.digest, p_digest)
       AND fn.may_use(t.scopes, 'write')
       AND fn.judge_token(t, v_tenant, p, o, false)
           IN ('live', 'rotated', 'handed_over', 'takes_only', 'paused', 'restricted');
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    DELETE FROM public.refused_departures
     WHERE tenant_id = p_tenant AND account_id = ANY (ARRAY(SELECT fn.accounts_of(p_tenant, p_staying)));
    INSERT INTO public.refused_departures AS r (tenant_id, account_id, epoch, token_id, token_label, action, request_id)
    SELECT p_tenant, a.id, a.epoch, p_token, v_label, p_call ->> 'action', p_call ->> 'request_id'
      FROM fn.accounts_of(p_tenant, p_leaving) s (account_id)
     CROSS JOIN LATERAL (
           SELECT * FROM public.accounts WHERE tenant_id = p_tenant AND id = s.account_id AND active LIMIT 1) a
     ORDER BY a.id
    ON CONFLICT (tenant_id, account_id) DO UPDATE
       SET epoch = excluded.epoch, token_id = excluded.token_id, token_label = excluded.token_label,
           action = excluded.action, request_id = excluded.request_id, refused_at = excluded.refused_at
     WHERE r.epoch <> excluded.epoch;
    SELECT count(*) INTO v_kept
      FROM public.refused_departures
     WHERE tenant_id = p_tenant AND account_id = ANY (ARRAY(SELECT fn.accounts_of(p_tenant, p_leaving)));
    RETURN v_kept;
END $$;
