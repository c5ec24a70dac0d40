-- Features: what a plan unlocks, or an override for one tenant; asked here and nowhere else.

-- Whether a tenant has a feature. A single expression, so that it becomes part of the query that asks.
CREATE FUNCTION fn.has_feature(n public.tenants, p public.plans, p_feature text) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE WHEN p_feature = ANY (p.features) THEN true WHEN n.overrides IS NULL THEN false
               ELSE coalesce(fn.override(n.overrides, p_feature) ->> 'value' = 'true', false) END $$;

-- The same for one tenant by its id.
CREATE FUNCTION fn.feature_of(p_tenant uuid, p_feature text) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT coalesce((SELECT fn.has_feature(n, p, p_feature) FROM public.tenants n JOIN public.plans p ON p.key = n.plan
                     WHERE n.id = p_tenant), false) $$;

-- Whether a tenant's own destinations hear of a topic: of whoever is out always, of everything else by the feature events.
CREATE FUNCTION fn.may_hear(p_tenant uuid, p_topic text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN p_topic IN ('user.deactivated', 'user.removed', 'session.closed', 'destination.tested')
        OR fn.feature_of(p_tenant, 'events');
END $$;

-- Sets an override, or takes it away where p_override is NULL. Where SCIM depends on it, what is left after its end is that
-- of any tenant that loses SCIM, by the terms of its plan; no job is needed for that. Locks: the plan, shared; the tenant.
CREATE FUNCTION fn.set_override(p_tenant uuid, p_key text, p_override jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n public.tenants;
    p public.plans;
    v_had timestamptz;
    v_ends timestamptz := coalesce((p_override ->> 'ends_at')::timestamptz, clock_timestamp());
BEGIN
    PERFORM FROM public.plans WHERE key = (SELECT plan FROM public.tenants WHERE id = p_tenant) FOR SHARE;
    SELECT * INTO n FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    SELECT * INTO p FROM public.plans WHERE key = n.plan;
    v_had := (n.overrides -> p_key ->> 'ends_at')::timestamptz;
    UPDATE public.tenants
       SET overrides = nullif(CASE WHEN p_override IS NULL THEN overrides - p_key
                                   ELSE coalesce(overrides, '{}') || jsonb_build_object(p_key, p_override) END, '{}')
     WHERE id = p_tenant;
    -- Dates that an earlier loss left stay; those that this override made follow it.
    IF p_key = 'scim' AND NOT 'scim' = ANY (p.features) AND (n.lapsed_at IS NULL OR n.lapsed_at = v_had) THEN
        UPDATE public.tenants
           SET lapsed_at = v_ends, offboarding_from = v_ends + make_interval(days => p.lapse_grace_days),
               closes_at = v_ends + make_interval(days => p.lapse_grace_days) + make_interval(days => p.lapse_offboarding_days)
         WHERE id = p_tenant;
    END IF;
END $$;
