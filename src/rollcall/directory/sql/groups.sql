-- Groups: who is in them, and under what names people come by them.

-- A group's members as a JSON array, or NULL when it has none.
CREATE FUNCTION fn.members_of(p_tenant uuid, p_group uuid, p_base text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg(m.body, ',' ORDER BY m.id, m.value) || ']' FROM (
        SELECT u.id, NULL AS value, json_build_object(
                   'value', u.id, '$ref', p_base || '/Users/' || u.id,
                   'display', coalesce(m.display, u.document ->> 'displayName', u.document ->> 'userName'),
                   'type', 'User')::text AS body
          FROM public.group_users m JOIN public.users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
         WHERE m.tenant_id = p_tenant AND m.group_id = p_group
        UNION ALL
        SELECT c.id, NULL, json_build_object(
                   'value', c.id, '$ref', p_base || '/Groups/' || c.id, 'display', coalesce(m.display, c.display_name),
                   'type', 'Group')::text
          FROM public.group_children m JOIN public.groups c ON c.tenant_id = m.tenant_id AND c.id = m.child_id
         WHERE m.tenant_id = p_tenant AND m.group_id = p_group
        UNION ALL
        SELECT NULL, m.value, json_strip_nulls(json_build_object('value', m.value, 'display', m.display))::text
          FROM public.group_unknown_members m WHERE m.tenant_id = p_tenant AND m.group_id = p_group) m
$$;

-- How many people are in a group by themselves; they are counted to p_most and not beyond.
CREATE FUNCTION fn.people_in_group(p_tenant uuid, p_group uuid, p_most bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group LIMIT p_most) few);
END $$;

-- The groups that people are in, as the JSON array of their `groups` attribute; no row for who is in none.
CREATE FUNCTION fn.groups_of_each(p_tenant uuid, p_users uuid[], p_base text)
RETURNS TABLE (user_id uuid, groups text) LANGUAGE sql STABLE AS $$
    WITH direct AS MATERIALIZED (
        SELECT each.id AS user_id, m.group_id FROM unnest(p_users) AS each (id) CROSS JOIN LATERAL (
               SELECT group_id FROM public.group_users WHERE tenant_id = p_tenant AND user_id = each.id OFFSET 0) m),
    reached AS (
        SELECT of.user_id, of.group_id, bool_or(of.direct) AS direct FROM (
            SELECT d.user_id, d.group_id, true AS direct FROM direct d
            UNION ALL
            SELECT d.user_id, c.ancestor_id, false FROM direct d
              JOIN public.group_closure c ON c.tenant_id = p_tenant AND c.descendant_id = d.group_id) of
         GROUP BY of.user_id, of.group_id)
    SELECT r.user_id, '[' || string_agg(json_build_object(
                   'value', g.id, '$ref', p_base || '/Groups/' || g.id, 'display', g.display_name,
                   'type', CASE WHEN r.direct THEN 'direct' ELSE 'indirect' END)::text, ',' ORDER BY g.id) || ']'
      FROM reached r JOIN public.groups g ON g.tenant_id = p_tenant AND g.id = r.group_id
     GROUP BY r.user_id
$$;

-- The same for one person; NULL when there is none, which is soon found out.
CREATE FUNCTION fn.groups_of(p_tenant uuid, p_user uuid, p_base text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.group_users m WHERE m.tenant_id = p_tenant AND m.user_id = p_user) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT of.groups FROM fn.groups_of_each(p_tenant, ARRAY[p_user], p_base) of);
END $$;

-- The names of the groups a person is in, directly or through others.
CREATE FUNCTION fn.group_names_of(p_tenant uuid, p_user uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(g.display_name ORDER BY g.id), '{}') FROM public.groups g
     WHERE g.tenant_id = p_tenant AND g.id IN (
               SELECT m.group_id FROM public.group_users m WHERE m.tenant_id = p_tenant AND m.user_id = p_user
               UNION
               SELECT c.ancestor_id FROM public.group_users m
                 JOIN public.group_closure c ON c.tenant_id = m.tenant_id AND c.descendant_id = m.group_id
                WHERE m.tenant_id = p_tenant AND m.user_id = p_user)
$$;

-- What decides the roles of those in a group, or of the first of them, with the groups they would be in without it: role
-- state, the attribute roles, and names of groups. No lock.
CREATE FUNCTION fn.people_without(p_tenant uuid, p_group uuid, p_most integer) RETURNS TABLE (
    role_state text, roles text, groups text[]
) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE people AS MATERIALIZED (
        SELECT DISTINCT e.user_id
          FROM (SELECT p_group AS id UNION
                SELECT c.descendant_id FROM public.group_closure c WHERE c.tenant_id = p_tenant AND c.ancestor_id = p_group) g
         CROSS JOIN LATERAL (SELECT m.user_id FROM public.group_users m
                              WHERE m.tenant_id = p_tenant AND m.group_id = g.id ORDER BY m.user_id LIMIT p_most) e
         ORDER BY e.user_id LIMIT p_most),
    reached (user_id, group_id) AS (
        SELECT p.user_id, m.group_id FROM people p
          JOIN public.group_users m ON m.tenant_id = p_tenant AND m.user_id = p.user_id AND m.group_id <> p_group
        UNION
        SELECT r.user_id, c.group_id FROM reached r
          JOIN public.group_children c ON c.tenant_id = p_tenant AND c.child_id = r.group_id AND c.group_id <> p_group),
    named AS (
        SELECT r.user_id, array_agg(g.display_name ORDER BY g.id) AS names FROM reached r
          JOIN public.groups g ON g.tenant_id = p_tenant AND g.id = r.group_id GROUP BY r.user_id)
    SELECT a.role_state::text, (u.document -> 'roles')::text, coalesce(n.names, '{}') FROM people p
      JOIN public.users u ON u.tenant_id = p_tenant AND u.id = p.user_id
      JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = u.account_id
      LEFT JOIN named n ON n.user_id = p.user_id
$$;

-- The names of the groups above a group.
CREATE FUNCTION fn.names_above(p_tenant uuid, p_group uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(a.display_name), '{}')
      FROM public.group_closure c JOIN public.groups a ON a.tenant_id = c.tenant_id AND a.id = c.ancestor_id
     WHERE c.tenant_id = p_tenant AND c.descendant_id = p_group
$$;

-- Everybody in a group, directly or through a group below it.
CREATE FUNCTION fn.everybody_in(p_tenant uuid, p_groups uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT m.user_id FROM public.group_users m WHERE m.tenant_id = p_tenant AND m.group_id = ANY (p_groups)
    UNION
    SELECT m.user_id FROM public.group_closure c
      JOIN public.group_users m ON m.tenant_id = c.tenant_id AND m.group_id = c.descendant_id
     WHERE c.tenant_id = p_tenant AND c.ancestor_id = ANY (p_groups)
$$;

-- The same for groups that come under another name: nobody is put into one of them, or into one below, before this
-- transaction ends, or they would not be judged by that name.
CREATE FUNCTION fn.everybody_under(p_tenant uuid, p_groups uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fn.hold_groups(p_tenant, p_groups || ARRAY(
        SELECT descendant_id FROM public.group_closure WHERE tenant_id = p_tenant AND ancestor_id = ANY (p_groups)));
    RETURN QUERY SELECT fn.everybody_in(p_tenant, p_groups);
END $$;

-- Works the groups' ancestry out anew. Nesting changes are few and take turns (see write_group).
CREATE FUNCTION fn.rebuild_closure(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM public.group_closure WHERE tenant_id = p_tenant;
    INSERT INTO public.group_closure (tenant_id, descendant_id, ancestor_id)
    WITH RECURSIVE up AS (
        SELECT child_id AS descendant_id, group_id AS ancestor_id FROM public.group_children WHERE tenant_id = p_tenant
        UNION
        SELECT up.descendant_id, c.group_id FROM up
          JOIN public.group_children c ON c.tenant_id = p_tenant AND c.child_id = up.ancestor_id)
    SELECT p_tenant, descendant_id, ancestor_id FROM up
$$;

CREATE FUNCTION fn.people_in(p_tenant uuid) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT coalesce(sum(people), 0)::bigint FROM public.user_counts WHERE tenant_id = p_tenant $$;
