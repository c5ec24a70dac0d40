-- Changes of a group: memberships are rows; a change of some of them reads, locks and writes those and the group.

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
    IF v_op NOT IN ('remove', 'retain') AND v_unknown <> '[]' THEN
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

-- The row of the group that a change is of, made or locked; RC404 where there is none, RC001 where it is of another version.
CREATE FUNCTION fn.group_to_change(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS public.groups
LANGUAGE plpgsql AS $$
DECLARE s public.groups;
BEGIN
    IF (p_change ->> 'create')::boolean THEN
        IF (p_change ->> 'unique_name')::boolean THEN
            PERFORM fn.refuse_taken_group_name(p_tenant, NULL, NULL, p_change);
        END IF;
        INSERT INTO public.groups (tenant_id, display_name, display_name_key, external_id, created_at, last_modified)
        VALUES (p_tenant, p_change ->> 'display_name', p_change ->> 'display_name_key', p_change ->> 'external_id',
                statement_timestamp(), statement_timestamp())
        RETURNING * INTO s;
    ELSE
        SELECT * INTO s FROM public.groups WHERE tenant_id = p_tenant AND id = p_group FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no such group' USING ERRCODE = 'RC404';
        END IF;
        IF s.version <> (p_change ->> 'version')::integer THEN
            RAISE EXCEPTION 'the group changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
        IF (p_change ->> 'unique_name')::boolean THEN
            PERFORM fn.refuse_taken_group_name(p_tenant, p_group, s.display_name_key, p_change);
        END IF;
    END IF;
    RETURN s;
END $$;

-- Takes out the members that a step names (remove), or all others (set, retain). RC001 if groups are among them, and p_nested says
-- that nobody expected it.
CREATE FUNCTION fn.take_members(
    p_tenant uuid, p_group uuid, p_ids uuid[], p_named boolean, p_nested boolean
) RETURNS fn.step_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.step_result;
    v_inner uuid[];
BEGIN
    IF p_named THEN  -- they are looked up; the group may have a hundred thousand others
        WITH gone AS (
            DELETE FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group
               AND user_id = ANY ((SELECT p_ids)::uuid[]) RETURNING user_id)
        SELECT coalesce(array_agg(user_id), '{}') INTO r.people FROM gone;
    ELSE
        WITH gone AS (
            DELETE FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group
               AND user_id <> ALL (p_ids) RETURNING user_id)
        SELECT coalesce(array_agg(user_id), '{}') INTO r.people FROM gone;
    END IF;
    WITH gone AS (
        DELETE FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group
           AND (child_id = ANY (p_ids)) = p_named RETURNING child_id)
    SELECT coalesce(array_agg(child_id), '{}') INTO v_inner FROM gone;
    r.changed := cardinality(v_inner) > 0;
    IF r.changed THEN
        IF NOT p_nested THEN  -- they were put in after the locks had been chosen
            RAISE EXCEPTION 'the group changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
        r.people := r.people || ARRAY(SELECT fn.everybody_in(p_tenant, v_inner));
        PERFORM fn.rebuild_closure(p_tenant);
    END IF;
    RETURN r;
END $$;

-- The groups among these ids; RC400 with one of them if it is neither a person nor a group here.
CREATE FUNCTION fn.groups_among(p_tenant uuid, p_ids uuid[], p_people uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE v_inner uuid[] := '{}';
BEGIN
    IF cardinality(p_people) < cardinality(p_ids) THEN
        v_inner := ARRAY(SELECT s.id FROM unnest((SELECT p_ids)) AS each (id) CROSS JOIN LATERAL (
                             SELECT id FROM public.groups WHERE tenant_id = p_tenant AND id = each.id LIMIT 1) s);
    END IF;
    IF cardinality(p_people) + cardinality(v_inner) < cardinality(p_ids) THEN
        RAISE EXCEPTION '%', (SELECT e FROM unnest(p_ids) e WHERE e <> ALL (p_people || v_inner) LIMIT 1)
            USING ERRCODE = 'RC400';
    END IF;
    RETURN v_inner;
END $$;

-- Puts people and groups in. RC409 where a group would be inside itself.
CREATE FUNCTION fn.put_members(p_tenant uuid, p_group uuid, p_people uuid[], p_inner uuid[], p_step jsonb)
RETURNS fn.step_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.step_result;
    v_children uuid[] := '{}';
BEGIN
    WITH come AS (
        INSERT INTO public.group_users (tenant_id, group_id, user_id)
        SELECT p_tenant, p_group, e FROM unnest(p_people) e ON CONFLICT DO NOTHING RETURNING user_id)
    SELECT coalesce(array_agg(user_id), '{}') INTO r.people FROM come;
    IF cardinality(p_inner) > 0 THEN
        WITH come AS (
            INSERT INTO public.group_children (tenant_id, group_id, child_id)
            SELECT p_tenant, p_group, e FROM unnest(p_inner) e ON CONFLICT DO NOTHING RETURNING child_id)
        SELECT coalesce(array_agg(child_id), '{}') INTO v_children FROM come;
    END IF;
    r.changed := cardinality(v_children) > 0;
    IF p_step ? 'displays' OR p_step ->> 'op' = 'set' THEN
        r.changed := fn.name_members(p_tenant, p_group, p_step) OR r.changed;
    END IF;
    IF cardinality(v_children) > 0 THEN
        IF p_group = ANY (v_children) OR EXISTS (
            SELECT FROM public.group_closure
             WHERE tenant_id = p_tenant AND descendant_id = p_group AND ancestor_id = ANY (v_children)
        ) THEN
            RAISE EXCEPTION 'a group would be inside itself' USING ERRCODE = 'RC409';
        END IF;
        PERFORM fn.rebuild_closure(p_tenant);
        r.people := r.people || ARRAY(SELECT fn.everybody_under(p_tenant, v_children));
    END IF;
    RETURN r;
END $$;

-- Carries one step out.
CREATE FUNCTION fn.apply_step(p_tenant uuid, p_group uuid, p_step jsonb, p_nested boolean) RETURNS fn.step_result
LANGUAGE plpgsql AS $$
DECLARE
    v_op text := p_step ->> 'op';
    v_ids uuid[] := ARRAY(SELECT DISTINCT e::uuid FROM jsonb_array_elements_text(p_step -> 'ids') e);
    v_people uuid[];
    v_inner uuid[];
    r fn.step_result;
    v_put fn.step_result;
BEGIN
    r.changed := false; r.people := '{}';
    IF v_op = 'repeat' THEN
        r.changed := fn.repeat_members(p_tenant, p_group, v_ids, p_step);
        RETURN r;
    END IF;
    IF p_step ? 'unknown_members' OR v_op IN ('set', 'retain') THEN
        r.changed := fn.write_unknown_members(p_tenant, p_group, p_step);
    END IF;
    IF v_op NOT IN ('remove', 'retain') THEN
        v_people := ARRAY(SELECT s.id FROM unnest((SELECT v_ids)) AS each (id) CROSS JOIN LATERAL (
                              SELECT id FROM public.users WHERE tenant_id = p_tenant AND id = each.id LIMIT 1) s);
        v_inner := fn.groups_among(p_tenant, v_ids, v_people);
    END IF;
    IF v_op <> 'add' THEN
        v_put := fn.take_members(p_tenant, p_group, v_ids, v_op = 'remove', p_nested);
        r.changed := r.changed OR v_put.changed; r.people := v_put.people;
    END IF;
    IF v_op NOT IN ('remove', 'retain') THEN
        v_put := fn.put_members(p_tenant, p_group, v_people, v_inner, p_step);
        r.changed := r.changed OR v_put.changed; r.people := r.people || v_put.people;
    END IF;
    RETURN r;
END $$;

-- What only takes away of a change of the group s: nobody comes in who was not in before it, and nothing is named. With
-- "left_out", what of it would give something, as SCIM calls it.
CREATE FUNCTION fn.only_taking(s public.groups, p_change jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_step jsonb;
    v_ids uuid[];
    v_in uuid[];
    v_unknown jsonb;
    v_steps jsonb := '[]';
    v_left text[] := '{}';
BEGIN
    IF p_change ->> 'display_name' <> s.display_name THEN
        v_left := v_left || 'displayName'::text;
    END IF;
    IF p_change ? 'external_id' AND p_change ->> 'external_id' IS DISTINCT FROM s.external_id THEN
        v_left := v_left || 'externalId'::text;
    END IF;
    FOR v_step IN SELECT jsonb_array_elements(p_change -> 'steps') LOOP
        IF v_step ->> 'op' = 'remove' THEN
            v_steps := v_steps || v_step;
            CONTINUE;
        END IF;
        v_ids := ARRAY(SELECT DISTINCT e::uuid FROM jsonb_array_elements_text(v_step -> 'ids') e);
        v_in := ARRAY(SELECT user_id FROM public.group_users
                       WHERE tenant_id = s.tenant_id AND group_id = s.id AND user_id = ANY (v_ids)
                      UNION ALL
                      SELECT child_id FROM public.group_children
                       WHERE tenant_id = s.tenant_id AND group_id = s.id AND child_id = ANY (v_ids));
        v_unknown := coalesce(v_step -> 'unknown_members', '[]');
        IF cardinality(v_in) < cardinality(v_ids) OR (v_step ->> 'op' = 'repeat' AND v_step ? 'displays') OR EXISTS (
            SELECT e ->> 'value' FROM jsonb_array_elements(v_unknown) e EXCEPT
            SELECT value FROM public.group_unknown_members WHERE tenant_id = s.tenant_id AND group_id = s.id
        ) THEN
            v_left := v_left || 'members'::text;
        END IF;
        v_steps := v_steps || jsonb_build_object('op', 'add', 'ids', v_in);  -- should a step before have taken them out
        IF v_step ->> 'op' = 'set' THEN
            v_steps := v_steps || jsonb_build_object('op', 'retain', 'ids', v_in, 'unknown_members', v_unknown);
        END IF;
    END LOOP;
    RETURN (p_change - '{display_name,display_name_key,first_key,external_id}'::text[]) || jsonb_build_object(
        'steps', v_steps, 'left_out', array_to_string(ARRAY(SELECT DISTINCT e FROM unnest(v_left) e ORDER BY e), ', '));
END $$;

-- Carries a change of a group out, in the caller's transaction. p_change: create, display_name with display_name_key (and
-- first_key, if that is another; see names.sql) and external_id where they are to change, unique_name, version (only if
-- the change depends on it), rule_version, relevant (whether names that count for roles are concerned), and steps: an array
-- of {"op": add | remove | set | repeat, "ids": […]}, with "displays" and "display_keys" in the order of the ids if the
-- provider calls any of them by a name, null where it does not; and with "unknown_members", an array of {"value",
-- "display", "display_key"}, for ids that nobody can have. takes_only: only what takes away of it is carried out.
-- Raises RC403 (nothing of it takes away), RC001 (stale), RC400 (an unknown member), RC404, RC405 (what is repeated is no member), RC409 (a cycle), RC413
-- (too many unknown members).
-- Locks: where no roles are concerned the role rule, shared, else the caller has the tenant; then what hold_around_group
-- says, and the group.
CREATE FUNCTION fn.write_group(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS fn.group_change LANGUAGE plpgsql AS $$
DECLARE
    s public.groups;
    c fn.group_change;
    v_step jsonb;
    v_done fn.step_result;
    v_people uuid[] := '{}';
    v_relevant boolean := (p_change ->> 'relevant')::boolean;
    v_nested boolean := fn.concerns_nesting(p_tenant, p_group, p_change);
    v_renamed boolean;
    v_external text;
BEGIN
    IF NOT v_relevant AND fn.held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer THEN
        RAISE EXCEPTION 'the role rule changed meanwhile' USING ERRCODE = 'RC001';
    END IF;
    IF v_nested OR v_relevant THEN
        PERFORM fn.hold_around_group(p_tenant, p_group, p_change, v_nested, v_relevant AND EXISTS (
            SELECT FROM public.groups
             WHERE tenant_id = p_tenant AND id = p_group AND display_name <> p_change ->> 'display_name'));
    END IF;
    s := fn.group_to_change(p_tenant, p_group, p_change);
    IF (p_change ->> 'takes_only')::boolean THEN
        p_change := fn.only_taking(s, p_change);
        c.left_out := nullif(p_change ->> 'left_out', '');
    END IF;
    c.changed := (p_change ->> 'create')::boolean;
    FOR v_step IN SELECT jsonb_array_elements(p_change -> 'steps') LOOP
        v_done := fn.apply_step(p_tenant, s.id, v_step, v_nested);
        c.changed := c.changed OR v_done.changed;
        v_people := v_people || v_done.people;
    END LOOP;
    v_renamed := coalesce(s.display_name <> p_change ->> 'display_name', false);
    v_external := CASE WHEN p_change ? 'external_id' THEN p_change ->> 'external_id' ELSE s.external_id END;
    IF v_renamed AND v_relevant THEN
        v_people := v_people || ARRAY(SELECT fn.everybody_under(p_tenant, ARRAY[s.id]));
    END IF;
    c.changed := c.changed OR cardinality(v_people) > 0 OR v_renamed OR s.external_id IS DISTINCT FROM v_external;
    IF c.left_out IS NOT NULL AND NOT c.changed THEN
        RAISE EXCEPTION '%', c.left_out USING ERRCODE = 'RC403';
    END IF;
    IF c.changed AND NOT (p_change ->> 'create')::boolean THEN
        UPDATE public.groups
           SET display_name = coalesce(p_change ->> 'display_name', display_name),
               display_name_key = CASE WHEN display_name_key = p_change ->> 'first_key' THEN display_name_key
                                       ELSE coalesce(p_change ->> 'display_name_key', display_name_key) END,
               external_id = v_external, version = version + 1, last_modified = statement_timestamp()
         WHERE tenant_id = p_tenant AND id = s.id
        RETURNING display_name, version, last_modified INTO s.display_name, s.version, s.last_modified;
    END IF;
    PERFORM fn.keep_rule_in_step(p_tenant, p_change, v_nested OR v_renamed);
    IF v_relevant THEN
        c.touched := ARRAY(SELECT DISTINCT e FROM unnest(v_people) e);
    END IF;
    c.display_name := s.display_name; c.external_id := v_external;
    c.id := s.id; c.version := s.version; c.created_at := s.created_at; c.last_modified := s.last_modified;
    RETURN c;
END $$;

-- After a change of a group. Where names count for roles and have moved among the groups, the rule gets a new version: what
-- was worked out by the graph before is stale. Where none do, the version is still the one the change was worked out by:
-- whoever has moved names over this group meanwhile held the group, and was waited for. RC001 if it is another.
CREATE FUNCTION fn.keep_rule_in_step(p_tenant uuid, p_change jsonb, p_moved boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (p_change ->> 'relevant')::boolean THEN
        IF p_moved THEN
            UPDATE public.tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
        END IF;
    ELSIF (SELECT role_rule_version FROM public.tenants WHERE id = p_tenant) <> (p_change ->> 'rule_version')::integer THEN
        RAISE EXCEPTION 'the nesting changed meanwhile' USING ERRCODE = 'RC001';
    END IF;
END $$;

-- Takes a group away, in the caller's transaction; returns its name, or NULL if there is none. Whoever calls holds nesting,
-- the group, and the groups that it is in.
CREATE FUNCTION fn.remove_group(p_tenant uuid, p_group uuid, p_relevant boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_name text;
    v_nested boolean;
BEGIN
    v_nested := EXISTS (SELECT FROM public.group_closure
                         WHERE tenant_id = p_tenant AND (descendant_id = p_group OR ancestor_id = p_group));
    UPDATE public.groups SET version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant
       AND id IN (SELECT group_id FROM public.group_children WHERE tenant_id = p_tenant AND child_id = p_group);
    DELETE FROM public.groups WHERE tenant_id = p_tenant AND id = p_group RETURNING display_name INTO v_name;
    IF v_name IS NOT NULL AND v_nested THEN
        PERFORM fn.rebuild_closure(p_tenant);
        IF p_relevant THEN
            UPDATE public.tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
        END IF;
    END IF;
    RETURN v_name;
END $$;
