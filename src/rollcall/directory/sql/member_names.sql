-- What a group's members are called, and members that are said again.

-- Keeps what the provider calls the members that a step names, and forgets it where a step that sets them all calls them
-- nothing. Returns whether anything changed.
CREATE FUNCTION fn.name_members(p_tenant uuid, p_group uuid, p_step jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_all boolean := p_step ->> 'op' = 'set';
    v_changed boolean := false;
BEGIN
    IF p_step ? 'displays' THEN
        WITH named AS MATERIALIZED (
            SELECT n.id::uuid AS id, n.display, n.display_key
              FROM ROWS FROM (jsonb_array_elements_text(p_step -> 'ids'), jsonb_array_elements_text(p_step -> 'displays'),
                              jsonb_array_elements_text(p_step -> 'display_keys')) n(id, display, display_key)),
        people AS (
            UPDATE public.group_users m SET display = n.display, display_key = n.display_key FROM named n
             WHERE m.tenant_id = p_tenant AND m.group_id = p_group AND m.user_id = n.id
               AND m.display IS DISTINCT FROM n.display AND (v_all OR n.display IS NOT NULL) RETURNING 1),
        nested AS (
            UPDATE public.group_children m SET display = n.display, display_key = n.display_key FROM named n
             WHERE m.tenant_id = p_tenant AND m.group_id = p_group AND m.child_id = n.id
               AND m.display IS DISTINCT FROM n.display AND (v_all OR n.display IS NOT NULL) RETURNING 1)
        SELECT EXISTS (SELECT FROM people) OR EXISTS (SELECT FROM nested) INTO v_changed;
    ELSIF v_all THEN
        UPDATE public.group_users SET display = NULL, display_key = NULL
         WHERE tenant_id = p_tenant AND group_id = p_group AND display IS NOT NULL;
        v_changed := FOUND;
        UPDATE public.group_children SET display = NULL, display_key = NULL
         WHERE tenant_id = p_tenant AND group_id = p_group AND display IS NOT NULL;
        v_changed := v_changed OR FOUND;
    END IF;
    RETURN v_changed;
END $$;

-- Has the members that a step says again be called what it calls them, if anything; RC405 with one of them if it is none.
CREATE FUNCTION fn.repeat_members(p_tenant uuid, p_group uuid, p_ids uuid[], p_step jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_stranger text;
BEGIN
    SELECT e.value INTO v_stranger FROM (
        SELECT e::text FROM unnest(p_ids) e WHERE NOT EXISTS (
            SELECT FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group AND user_id = e
            UNION ALL
            SELECT FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group AND child_id = e)
        UNION ALL
        SELECT e ->> 'value' FROM jsonb_array_elements(coalesce(p_step -> 'unknown_members', '[]')) e WHERE NOT EXISTS (
            SELECT FROM public.group_unknown_members
             WHERE tenant_id = p_tenant AND group_id = p_group AND value = e ->> 'value')) e(value) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%', v_stranger USING ERRCODE = 'RC405';
    END IF;
    RETURN fn.name_members(p_tenant, p_group, p_step);
END $$;
