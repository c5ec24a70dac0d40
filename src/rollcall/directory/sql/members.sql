-- Changes of a group: memberships are rows; a change of some of them reads, locks and writes those and the group.

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

-- Keeps the members of a step whose ids can't be anybody's, 100 in a group at the most. Returns whether anything changed.
CREATE FUNCTION fn.write_unknown_members(p_tenant uuid, p_group uuid, p_step jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_op text := p_step ->> 'op';
    v_unknown jsonb := coalesce(p_step -> 'unknown_members', '[]');
    v_changed boolean := false;
BEGIN
    IF v_op <> 'add' THEN
        DELETE FROM public.group_unknown_members WHERE tenant_id = p_tenant AND group_id = p_group
           AND (value IN (SELECT e ->> 'value' FROM jsonb_array_elements(v_unknown) e)) = (v_op = 'remove');
        v_changed := FOUND;
    END IF;
    IF v_op <> 'remove' AND v_unknown <> '[]' THEN
        INSERT INTO public.group_unknown_members AS k (tenant_id, group_id, value, display, display_key)
        SELECT p_tenant, p_group, e.value, e.display, e.display_key
          FROM jsonb_to_recordset(v_unknown) e(value text, display text, display_key text)
        ON CONFLICT (tenant_id, group_id, value) DO UPDATE
           SET display = excluded.display, display_key = excluded.display_key
         WHERE k.display IS DISTINCT FROM excluded.display AND (v_op = 'set' OR excluded.display IS NOT NULL);
        v_changed := FOUND OR v_changed;
        IF (SELECT count(*) FROM public.group_unknown_members WHERE tenant_id = p_tenant AND group_id = p_group) > 100 THEN
            RAISE EXCEPTION 'more than 100 members that nobody here can be' USING ERRCODE = 'RC413';
        END IF;
    END IF;
    RETURN v_changed;
END $$;

-- Carries out a change of a group, in the caller's transaction. p_change: create, display_name with display_name_key and
-- external_id where they are to change, unique_name, version (only if the change depends on it), relevant (whether names that count for roles
-- are concerned), and steps: an array of {"op": add | remove | set, "ids": […]}, with "displays" and "display_keys" in
-- the order of the ids if the provider calls any of them by a name, null where it does not; and with "unknown_members", an array
-- of {"value", "display", "display_key"}, if there are members whose ids can't be anybody's.
CREATE FUNCTION fn.write_group(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS fn.group_change LANGUAGE plpgsql AS $$
DECLARE
    c fn.group_change;
    s public.groups;
    v_step jsonb;
    v_ids uuid[];
    v_found uuid[];
    v_children uuid[] := '{}';
    v_users uuid[] := '{}';
    v_some uuid[];
    v_inner uuid[];
    v_nested boolean := false;
    v_renamed boolean := false;
    v_external text;
BEGIN
-- Before any group: whoever nests groups takes turns, and then holds several.
    v_ids := ARRAY(SELECT e::uuid FROM jsonb_array_elements(p_change -> 'steps') t, jsonb_array_elements_text(t -> 'ids') e);
    IF EXISTS (SELECT FROM public.groups WHERE tenant_id = p_tenant AND id = ANY (v_ids))
       OR EXISTS (SELECT FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group
                     AND p_change -> 'steps' @> '[{"op": "set"}]') THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
        v_nested := true;
    END IF;
    IF (p_change ->> 'create')::boolean THEN
        INSERT INTO public.groups (tenant_id, display_name, display_name_key, external_id, created_at, last_modified)
        VALUES (p_tenant, p_change ->> 'display_name', p_change ->> 'display_name_key', p_change ->> 'external_id',
                statement_timestamp(), statement_timestamp())
        RETURNING * INTO s;
        c.changed := true;
    ELSE
        SELECT * INTO s FROM public.groups WHERE tenant_id = p_tenant AND id = p_group FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no such group' USING ERRCODE = 'RC404';
        END IF;
        IF s.version <> (p_change ->> 'version')::integer THEN
            RAISE EXCEPTION 'the group changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
        c.changed := false;
    END IF;
    IF (p_change ->> 'unique_name')::boolean AND EXISTS (
        SELECT FROM public.groups WHERE tenant_id = p_tenant AND display_name_key = p_change ->> 'display_name_key' AND id <> s.id
    ) THEN
        RAISE EXCEPTION 'displayName is taken' USING ERRCODE = 'unique_violation';
    END IF;
    FOR v_step IN SELECT jsonb_array_elements(p_change -> 'steps') LOOP
        v_ids := ARRAY(SELECT DISTINCT e::uuid FROM jsonb_array_elements_text(v_step -> 'ids') e);
        IF v_step ? 'unknown_members' OR v_step ->> 'op' = 'set' THEN
            c.changed := fn.write_unknown_members(p_tenant, s.id, v_step) OR c.changed;
        END IF;
        IF v_step ->> 'op' <> 'remove' THEN
            v_found := ARRAY(SELECT id FROM public.users WHERE tenant_id = p_tenant AND id = ANY (v_ids));
            v_inner := '{}';
            IF cardinality(v_found) < cardinality(v_ids) THEN
                v_inner := ARRAY(SELECT id FROM public.groups WHERE tenant_id = p_tenant AND id = ANY (v_ids));
            END IF;
            IF cardinality(v_found) + cardinality(v_inner) < cardinality(v_ids) THEN
                RAISE EXCEPTION '%', (SELECT e FROM unnest(v_ids) e WHERE e <> ALL (v_found || v_inner) LIMIT 1)
                    USING ERRCODE = 'RC400';
            END IF;
        END IF;
        IF v_step ->> 'op' <> 'add' THEN
            WITH gone AS (
                DELETE FROM public.group_users WHERE tenant_id = p_tenant AND group_id = s.id
                   AND (user_id = ANY (v_ids)) = (v_step ->> 'op' = 'remove') RETURNING user_id)
            SELECT v_users || coalesce(array_agg(user_id), '{}') INTO v_users FROM gone;
            WITH gone AS (
                DELETE FROM public.group_children WHERE tenant_id = p_tenant AND group_id = s.id
                   AND (child_id = ANY (v_ids)) = (v_step ->> 'op' = 'remove') RETURNING child_id)
            SELECT coalesce(array_agg(child_id), '{}') INTO v_some FROM gone;
            IF cardinality(v_some) > 0 THEN
                IF NOT v_nested THEN
                    PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
                    v_nested := true;
                END IF;
                v_users := v_users || ARRAY(SELECT fn.everybody_in(p_tenant, v_some));
                PERFORM fn.rebuild_closure(p_tenant);
                c.changed := true;
            END IF;
        END IF;
        IF v_step ->> 'op' <> 'remove' THEN
            WITH come AS (
                INSERT INTO public.group_users (tenant_id, group_id, user_id)
                SELECT p_tenant, s.id, e FROM unnest(v_found) e ON CONFLICT DO NOTHING RETURNING user_id)
            SELECT v_users || coalesce(array_agg(user_id), '{}') INTO v_users FROM come;
            v_children := '{}';
            IF cardinality(v_inner) > 0 THEN
                WITH come AS (
                    INSERT INTO public.group_children (tenant_id, group_id, child_id)
                    SELECT p_tenant, s.id, e FROM unnest(v_inner) e ON CONFLICT DO NOTHING RETURNING child_id)
                SELECT coalesce(array_agg(child_id), '{}') INTO v_children FROM come;
            END IF;
            IF v_step ? 'displays' OR v_step ->> 'op' = 'set' THEN
                c.changed := fn.name_members(p_tenant, s.id, v_step) OR c.changed;
            END IF;
            IF cardinality(v_children) > 0 THEN
                IF s.id = ANY (v_children) OR EXISTS (
                    SELECT FROM public.group_closure WHERE tenant_id = p_tenant AND descendant_id = s.id
                       AND ancestor_id = ANY (v_children)
                ) THEN
                    RAISE EXCEPTION 'a group would be inside itself' USING ERRCODE = 'RC409';
                END IF;
                PERFORM fn.rebuild_closure(p_tenant);
                v_users := v_users || ARRAY(SELECT fn.everybody_under(p_tenant, v_children));
                c.changed := true;
            END IF;
        END IF;
    END LOOP;
    v_renamed := coalesce(s.display_name <> p_change ->> 'display_name', false);
    v_external := CASE WHEN p_change ? 'external_id' THEN p_change ->> 'external_id' ELSE s.external_id END;
    IF v_renamed AND (p_change ->> 'relevant')::boolean THEN
        v_users := v_users || ARRAY(SELECT fn.everybody_under(p_tenant, ARRAY[s.id]));
    END IF;
    c.changed := c.changed OR cardinality(v_users) > 0 OR v_renamed
        OR s.external_id IS DISTINCT FROM v_external;
    IF c.changed AND NOT (p_change ->> 'create')::boolean THEN
        UPDATE public.groups
           SET display_name = coalesce(p_change ->> 'display_name', display_name),
               display_name_key = coalesce(p_change ->> 'display_name_key', display_name_key),
               external_id = v_external, version = version + 1, last_modified = statement_timestamp()
         WHERE tenant_id = p_tenant AND id = s.id
        RETURNING display_name, version, last_modified INTO s.display_name, s.version, s.last_modified;
    END IF;
    IF (p_change ->> 'relevant')::boolean THEN
        c.touched := ARRAY(SELECT DISTINCT e FROM unnest(v_users) e);
-- Names that count for roles have moved in the graph of groups: what was worked out from it before is stale.
        IF v_nested OR v_renamed THEN
            UPDATE public.tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
        END IF;
    ELSE
-- After the members: whoever edits the role rule is waited for here, or waits, and then sees them.
        IF fn.held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer THEN
            RAISE EXCEPTION 'the role rule or the nesting changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
    END IF;
    c.display_name := s.display_name; c.external_id := v_external;
    c.id := s.id; c.version := s.version; c.created_at := s.created_at; c.last_modified := s.last_modified;
    c.verdict := 'done';
    RETURN c;
END $$;
