-- Lapse: what is left of SCIM to a tenant that had it and whose plan does not include it any more.

-- The state that holds now, by the clock; nothing has to move it.
--   active            the plan includes SCIM
--   never             it does not, and the tenant never had it
--   grace             lost, and everything works until offboarding_from
--   offboarding_only  lost: reads pass, and what only takes away
--   closed            lost, and over
-- A single expression, volatile as the clock is, so that it becomes part of the query that asks.
CREATE FUNCTION fn.lapse_state(n public.tenants, p public.plans) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE WHEN fn.has_feature(n, p, 'scim') THEN 'active'
               ELSE fn.after_loss(n.lapsed_at, n.offboarding_from, n.closes_at) END $$;

-- The same where the plan does not include SCIM. No single expression, so that whoever has SCIM does not pay for it.
CREATE FUNCTION fn.after_loss(p_lapsed_at timestamptz, p_offboarding_from timestamptz, p_closes_at timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN p_lapsed_at IS NULL THEN 'never'
                WHEN clock_timestamp() < p_offboarding_from THEN 'grace'
                WHEN clock_timestamp() >= p_closes_at THEN 'closed'
                ELSE 'offboarding_only' END;
END $$;

-- The same for one tenant by its id; NULL if there is none that may be seen. It is asked for one tenant after the other, so
-- its plan, two look-ups by key, is kept also where all others are made for each statement: making it takes ten times as long.
CREATE FUNCTION fn.lapse_of(p_tenant uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET plan_cache_mode = auto AS
$$ SELECT fn.lapse_state(n, p) FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = p_tenant $$;

-- What a refused caller is told: the state, what the plan is called, and since when and until when.
CREATE FUNCTION fn.lapse_facts(p_tenant uuid) RETURNS TABLE (
    state text, plan text, lapsed_at timestamptz, offboarding_from timestamptz, closes_at timestamptz, paused_seconds integer
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT fn.lapse_state(n, p), p.name, n.lapsed_at, n.offboarding_from, n.closes_at,
                        ceil(extract(epoch FROM n.paused_until - clock_timestamp()))::integer
      FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = p_tenant;
END $$;

-- Has tenants lapse now, by the terms of the plan that they had, or end their lapse; returns those for whom it is new.
-- Who has lapsed by an earlier loss keeps their dates. Locks: the tenants, by id.
CREATE FUNCTION fn.begin_lapse(p_tenants uuid[], p_terms public.plans) RETURNS SETOF public.tenants
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_grace interval := make_interval(days => p_terms.lapse_grace_days);
BEGIN
    PERFORM FROM public.tenants WHERE id = ANY (p_tenants) ORDER BY id FOR NO KEY UPDATE;
    -- Who has SCIM by an override loses it as that ends.
    RETURN QUERY UPDATE public.tenants n
       SET lapsed_at = l.at, offboarding_from = l.at + v_grace,
           closes_at = l.at + v_grace + make_interval(days => p_terms.lapse_offboarding_days)
      FROM (SELECT t.id, coalesce((fn.override(t.overrides, 'scim') ->> 'ends_at')::timestamptz, v_now) AS at
              FROM public.tenants t WHERE t.id = ANY (p_tenants)
               -- Who has it paid for, without an end, does not lose it.
               AND NOT coalesce(fn.override(t.overrides, 'scim') -> 'ends_at' IS NULL
                                AND fn.override(t.overrides, 'scim') ->> 'value' = 'true', false)) AS l
     WHERE n.id = l.id RETURNING n.*;
END $$;

CREATE FUNCTION fn.end_lapse(p_tenants uuid[]) RETURNS SETOF public.tenants LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM public.tenants WHERE id = ANY (p_tenants) ORDER BY id FOR NO KEY UPDATE;
    RETURN QUERY UPDATE public.tenants SET lapsed_at = NULL, offboarding_from = NULL, closes_at = NULL
     WHERE id = ANY (p_tenants) AND lapsed_at IS NOT NULL RETURNING *;
END $$;

-- After a plan's edit: who has it lapses, or comes back, if it lost SCIM by it or gained it. Returns whom that is new for.
-- Whoever calls holds the plan.
CREATE FUNCTION fn.follow_plan(p_plan text, p_had_scim boolean) RETURNS SETOF public.tenants LANGUAGE plpgsql AS $$
DECLARE
    p public.plans;
    v_tenants uuid[];
BEGIN
    SELECT * INTO p FROM public.plans WHERE key = p_plan;
    IF 'scim' = ANY (p.features) = p_had_scim THEN
        RETURN;
    END IF;
    v_tenants := ARRAY(SELECT id FROM public.tenants WHERE plan = p_plan);
    IF p_had_scim THEN
        RETURN QUERY SELECT * FROM fn.begin_lapse(v_tenants, p);
    ELSE
        RETURN QUERY SELECT * FROM fn.end_lapse(v_tenants);
    END IF;
END $$;

-- Puts a tenant on another plan; where it loses SCIM by that it lapses by the terms of the plan it had.
-- Returns the tenant if its lapse begins or ends by it. Locks: both plans, shared, by key; the tenant.
CREATE FUNCTION fn.change_plan(p_tenant uuid, p_plan text) RETURNS SETOF public.tenants LANGUAGE plpgsql AS $$
DECLARE
    v_had public.plans;
    v_has boolean;
BEGIN
    PERFORM FROM public.plans WHERE key = p_plan OR key = (SELECT plan FROM public.tenants WHERE id = p_tenant)
      ORDER BY key FOR SHARE;
    PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    SELECT p.* INTO v_had FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = p_tenant;
    v_has := EXISTS (SELECT FROM public.plans WHERE key = p_plan AND 'scim' = ANY (features));
    UPDATE public.tenants SET plan = p_plan WHERE id = p_tenant;
    IF v_has THEN
        RETURN QUERY SELECT * FROM fn.end_lapse(ARRAY[p_tenant]);
    ELSIF 'scim' = ANY (v_had.features) THEN
        RETURN QUERY SELECT * FROM fn.begin_lapse(ARRAY[p_tenant], v_had);
    END IF;
END $$;
