-- A profile that takes itself, once the tenant's provider is recognised.

-- Why the profile can't be taken at present: settled (it takes itself no more), busy (the provider has changed something
-- within p_quiet; before the first change nothing is), twins (two groups share a name, and the profile has names unique).
-- NULL: it can.
CREATE FUNCTION fn.why_not_taken(p_tenant uuid, p_unique_names boolean, p_quiet interval) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.tenants WHERE id = p_tenant AND profile_auto AND profile_taken_at IS NULL) THEN
        RETURN 'settled';
    ELSIF EXISTS (
        SELECT FROM public.audit_entries
         WHERE tenant_id = p_tenant AND at > statement_timestamp() - p_quiet AND actor_kind = 'scim_token' AND outcome = 'done'
           AND action ~ '^scim\.(users|groups)\.(create|replace|patch|delete)$') THEN
        RETURN 'busy';
    ELSIF p_unique_names AND EXISTS (
        SELECT FROM public.groups WHERE tenant_id = p_tenant GROUP BY display_name_key HAVING count(*) > 1) THEN
        RETURN 'twins';
    END IF;
    RETURN NULL;
END $$;

-- Takes the profile, once, and writes it down; returns why not, or NULL. What is under way is waited for, two seconds at
-- most; what comes meanwhile waits, and finds another profile than it was worked out by.
-- Locks: the tenant, then the role rule, which everybody holds who makes people or groups.
CREATE FUNCTION fn.take_profile(
    p_tenant uuid, p_profile text, p_unique_names boolean, p_quiet interval, p_call jsonb
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_why text;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    v_why := fn.why_not_taken(p_tenant, p_unique_names, p_quiet);
    IF v_why IS NOT NULL THEN
        RETURN v_why;
    END IF;
    PERFORM set_config('lock_timeout', '2s', true);
    PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    PERFORM fn.hold_rule(p_tenant);
    v_why := fn.why_not_taken(p_tenant, p_unique_names, p_quiet);
    IF v_why IS NOT NULL THEN
        RETURN v_why;
    END IF;
    UPDATE public.tenants SET profile = p_profile, profile_taken_at = clock_timestamp() WHERE id = p_tenant;
    PERFORM fn.audit_write(p_tenant, p_call, 'done', NULL, NULL, ARRAY[p_call ->> 'action'], NULL, p_tenant::text);
    PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(
        (p_call -> 'payload') || jsonb_build_object('topic', p_call ->> 'action')));
    RETURN NULL;
END $$;
