-- The gate: decided from the rows as they are now, on every call, in the order the verdicts are listed.

-- Enters the tenant and judges the token. p_needs is read or write.
-- takes_only: the tenant's plan includes SCIM no more, and the write passes if it gives nobody anything (fn.lets); paused:
-- so it does until the pause is over; restricted: until another admin has taken over what their former one owned.
CREATE FUNCTION fn.gate(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS fn.gate_result
LANGUAGE plpgsql AS $$
DECLARE
    v_entered text := set_config('rollcall.tenant', p_tenant::text, true);
    g fn.gate_result;
BEGIN
    SELECT CASE WHEN fn.may_use(t.scopes, p_needs) THEN fn.judge_token(t, n, p, o, false)
                ELSE fn.without_scope(fn.judge_closely(t.tenant_id, t.id, n.status, false)) END, t.label, t.owner_id, n.plan, coalesce(n.rate_per_second, p.rate_per_second),
           coalesce(n.rate_burst, p.rate_burst),
           CASE n.name_comparison WHEN 1 THEN n.role_rule || '{"comparison": 1}' ELSE n.role_rule END,
           n.role_rule_version, n.profile
      INTO g
      FROM public.tokens t
      JOIN public.tenants n ON n.id = t.tenant_id
      JOIN public.plans p ON p.key = n.plan
      LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_token AND fn.same_digest(t.digest, p_digest);
    IF g.verdict = 'live' THEN
        g.verdict := 'ok';
    ELSE
        g.verdict := fn.verdict_on(g.verdict, p_needs);
    END IF;
    RETURN g;
END $$;

-- The state of a token whose scopes do not let it do what it is used for: that, unless it would not work at all.
CREATE FUNCTION fn.without_scope(p_state text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN p_state IN ('live', 'rotated', 'handed_over', 'takes_only', 'paused', 'restricted') THEN 'scope'
                ELSE p_state END;
END $$;

-- What the gate says of a token in p_state, NULL if there is none.
CREATE FUNCTION fn.verdict_on(p_state text, p_needs text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN p_state IS NULL THEN 'unknown'
                WHEN p_state IN ('owner_inactive', 'owner_not_admin') THEN 'owner'
                WHEN p_state IN ('live', 'rotated', 'handed_over') THEN 'ok'
                WHEN p_state IN ('takes_only', 'paused', 'restricted') AND p_needs = 'read' THEN 'ok'
                ELSE p_state END;
END $$;

-- Whether the gate's verdict lets a change go on; p_takes is whether it only takes away, which has to be certain.
CREATE FUNCTION fn.lets(g fn.gate_result, p_takes boolean) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT g.verdict = 'ok' OR (g.verdict IN ('takes_only', 'paused', 'restricted') AND p_takes IS TRUE) $$;

-- Whether what a process remembers of a caller ({profile, rate, burst}) is no longer so.
CREATE FUNCTION fn.is_stale(g fn.gate_result, p_context jsonb) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT p_context <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) $$;

-- The last thing that a change does: raises RC401, which undoes all of it, if the key it was made with has ended since
-- the call was let in, or if p_profile is no longer the tenant's: a change that was worked out by it is worked out anew.
-- p_kind is the token's: scim, pat, op, app, or ses for a session of the console, ops for one of an operator. p_takes: all that
-- was done takes away.
CREATE FUNCTION fn.still_good(
    p_kind text, p_tenant uuid, p_id uuid, p_digest bytea, p_profile text DEFAULT NULL, p_takes boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_before boolean;
    v_state text;
    v_good boolean;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;  -- what is left for the commit may wait for others as well
    SET CONSTRAINTS ALL DEFERRED;
    v_before := fn.has_notes();  -- only now: those constraints change accounts too
    IF p_kind = 'scim' THEN
        -- The digest was compared by the gate; whoever is here knows it.
        SELECT CASE WHEN fn.may_use(t.scopes, 'write') AND n.profile = coalesce(p_profile, n.profile)
                    THEN fn.judge_token(t, n, p, o, v_before) END INTO v_state
          FROM public.tokens t
          JOIN public.tenants n ON n.id = t.tenant_id
          JOIN public.plans p ON p.key = n.plan
          LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
         WHERE t.tenant_id = p_tenant AND t.id = p_id AND t.digest = p_digest;
        v_good := v_state = 'live' OR fn.lets_stand(v_state, p_takes);
    ELSIF p_kind = 'ses' THEN
        v_good := EXISTS (SELECT FROM fn.console_session(p_tenant, p_id, p_digest, v_before));
    ELSIF p_kind = 'ops' THEN
        v_good := EXISTS (SELECT FROM fn.operator_session(p_id, p_digest));
    ELSE
        v_good := EXISTS (SELECT FROM fn.authenticate(p_kind, p_tenant, p_id, p_digest, v_before));
    END IF;
    IF v_good IS NOT TRUE THEN
        RAISE EXCEPTION 'the key ended, or the profile changed, while the call was under way' USING ERRCODE = 'RC401';
    END IF;
END $$;

-- Whether what a token has done may stand that is in p_state, which is not `live`.
CREATE FUNCTION fn.lets_stand(p_state text, p_takes boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN p_state IN ('rotated', 'handed_over') OR (p_takes AND p_state IN ('takes_only', 'paused', 'restricted'));
END $$;

-- Writes the audit entry of a SCIM call: what the call says of itself, and what the gate found out about its token.
CREATE FUNCTION fn.audit_call(
    p_tenant uuid, g fn.gate_result, p_token uuid, p_call jsonb, p_outcome text, p_status integer, p_detail text,
    p_events text[], p_account uuid, p_target text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fn.audit_by(p_tenant, 'scim_token', p_token, g.token_label, g.owner_id, p_call, p_outcome, p_status, p_detail,
                        p_events, p_account, p_target);
END $$;

-- Writes down a call that changed nothing: refused, or asking for what is so already. p_case is a case to open, or
-- {"taken_back": the person's user_name_key} when the call asks for the role names that are stored: whatever another
-- one wanted instead and was refused, it no longer does.
CREATE FUNCTION fn.note_call(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_call jsonb, p_outcome text, p_status integer,
    p_detail text, p_user uuid, p_case jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    v_events text[] := '{}';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    g.token_label := p_label;
    g.owner_id := p_owner;
    IF p_case ? 'taken_back' THEN
        IF fn.close_cases(p_tenant, p_user, p_case ->> 'taken_back', 'the cause is gone', '{f}') > 0 THEN
            v_events := '{conflict.closed}';
        END IF;
    ELSIF p_case IS NOT NULL THEN
        PERFORM fn.open_case(p_tenant, p_user, p_case);
        v_events := '{conflict.opened}';
    END IF;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, p_outcome, p_status, p_detail, v_events,
        (SELECT account_id FROM public.users WHERE tenant_id = p_tenant AND id = p_user),
        coalesce(p_user::text, p_case ->> 'user_name'));
END $$;
