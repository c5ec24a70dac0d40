-- What a change of a group locks before it writes, so that whatever it meets has come by the same order.

-- Waits for whoever nests groups, before any group is locked.
CREATE FUNCTION fn.hold_nesting(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0))
$$;

-- Locks groups in the order of their ids. Rows whose ids are in an array are looked up one by one, here and elsewhere: by
-- `= ANY` an index in which the id stands last may be read through for them, which is everything of the tenant, because a
-- plan takes all tenants for average ones. The array stands in a SELECT so that its length is no reason to plan anew.
CREATE FUNCTION fn.hold_groups(p_tenant uuid, p_groups uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM (SELECT DISTINCT id FROM unnest((SELECT p_groups)) AS named (id) ORDER BY id) each CROSS JOIN LATERAL (
        SELECT FROM public.groups WHERE tenant_id = p_tenant AND id = each.id FOR NO KEY UPDATE) held;
END $$;

-- Whether a change puts groups into groups, or takes them out.
CREATE FUNCTION fn.concerns_nesting(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM jsonb_array_elements(p_change -> 'steps') t, jsonb_array_elements_text(t -> 'ids') e
                     CROSS JOIN LATERAL (
                         SELECT FROM public.groups WHERE tenant_id = p_tenant AND id = e::uuid LIMIT 1) named)
        OR (p_change -> 'steps' @> '[{"op": "set"}]'
            AND EXISTS (SELECT FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group))
$$;

-- Locks what a change of a group may come to wait for, each kind in the order of its ids: where groups come, go or are
-- renamed, nesting and the groups that are concerned; and where names count for roles, the accounts of everybody who may come
-- under another one, unless they are so many (`large`) that the caller holds the role rule instead. All before anything is
-- written: a membership holds its person against being removed.
CREATE FUNCTION fn.hold_around_group(
    p_tenant uuid, p_group uuid, p_change jsonb, p_nested boolean, p_renamed boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_groups uuid[] := ARRAY[p_group];
BEGIN
    IF p_nested OR p_renamed THEN
        PERFORM fn.hold_nesting(p_tenant);
        v_groups := v_groups || fn.groups_concerned(p_tenant, p_group, p_change);
    END IF;
    PERFORM fn.hold_groups(p_tenant, v_groups);
    IF (p_change ->> 'relevant')::boolean AND (p_change ->> 'large')::boolean IS NOT TRUE THEN
        PERFORM fn.hold_accounts_of(p_tenant, ARRAY(SELECT fn.people_concerned(p_tenant, p_group, p_change)
            UNION SELECT fn.everybody_in(p_tenant, CASE WHEN p_renamed THEN v_groups ELSE v_groups[2:] END)));
    END IF;
END $$;

-- The groups that a change names, those that are in the group, and all below them.
CREATE FUNCTION fn.groups_concerned(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    WITH named AS (
        SELECT e::uuid AS id FROM jsonb_array_elements(p_change -> 'steps') t, jsonb_array_elements_text(t -> 'ids') e
        UNION SELECT child_id FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group)
    SELECT coalesce(array_agg(g.id), '{}') FROM public.groups g
     WHERE g.tenant_id = p_tenant
       AND g.id IN (SELECT id FROM named UNION
                    SELECT c.descendant_id FROM public.group_closure c JOIN named ON c.ancestor_id = named.id
                     WHERE c.tenant_id = p_tenant)
$$;

-- The people whom a change may put into the group or take out of it by itself; more than that, but nobody less.
CREATE FUNCTION fn.people_concerned(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH named AS MATERIALIZED (
        SELECT t ->> 'op' AS op, e::uuid AS id
          FROM jsonb_array_elements(p_change -> 'steps') t, jsonb_array_elements_text(t -> 'ids') e),
    mine AS (
        SELECT user_id AS id FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group)
    (SELECT id FROM named WHERE op <> 'remove' EXCEPT SELECT id FROM mine)
    UNION ALL
    (SELECT id FROM mine INTERSECT SELECT id FROM named WHERE op = 'remove')
    UNION ALL
    SELECT id FROM mine WHERE p_change -> 'steps' @> '[{"op": "set"}]'
       AND id NOT IN (SELECT id FROM named WHERE op = 'set')
$$;

-- The accounts of people.
CREATE FUNCTION fn.accounts_of(p_tenant uuid, p_users uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT s.account_id FROM unnest((SELECT p_users)) AS each (id) CROSS JOIN LATERAL (
        SELECT account_id FROM public.users WHERE tenant_id = p_tenant AND id = each.id LIMIT 1) s
$$;

-- Locks the accounts of people, in the order of their ids.
CREATE FUNCTION fn.hold_accounts_of(p_tenant uuid, p_users uuid[]) RETURNS void LANGUAGE sql AS $$
    SELECT FROM (SELECT of.id FROM fn.accounts_of(p_tenant, p_users) of (id) ORDER BY of.id) due CROSS JOIN LATERAL (
        SELECT FROM public.accounts WHERE tenant_id = p_tenant AND id = due.id FOR UPDATE) held
$$;
