-- Groups: memberships are rows. A change of some of them reads, locks and writes those and the group's own row.

CREATE TYPE group_result AS (
    verdict text, token_label text, owner_id uuid, plan text, reason text, rate integer, burst integer, profile text,
    rule text, rule_version integer,
    id uuid, display_name text, external_id text, version integer, created_at timestamptz,
    last_modified timestamptz, above text[], members text, total bigint
);

CREATE FUNCTION opened_group(g gate_result) RETURNS group_result LANGUAGE plpgsql STABLE AS $$
DECLARE r group_result;
BEGIN
    r.verdict := g.verdict; r.token_label := g.token_label; r.owner_id := g.owner_id; r.plan := g.plan;
    r.reason := g.reason; r.rate := g.rate; r.burst := g.burst; r.profile := g.profile;
    RETURN r;
END $$;

-- A group's members as a JSON array, or NULL when it has none.
CREATE FUNCTION members_of(p_tenant uuid, p_group uuid, p_base text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg(m.body, ',' ORDER BY m.id, m.value) || ']' FROM (
        SELECT u.id, NULL AS value, json_build_object(
                   'value', u.id, '$ref', p_base || '/Users/' || u.id,
                   'display', coalesce(m.display, u.document ->> 'displayName', u.document ->> 'userName'),
                   'type', 'User')::text AS body
          FROM group_users m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
         WHERE m.tenant_id = p_tenant AND m.group_id = p_group
        UNION ALL
        SELECT c.id, NULL, json_build_object(
                   'value', c.id, '$ref', p_base || '/Groups/' || c.id, 'display', coalesce(m.display, c.display_name),
                   'type', 'Group')::text
          FROM group_children m JOIN groups c ON c.tenant_id = m.tenant_id AND c.id = m.child_id
         WHERE m.tenant_id = p_tenant AND m.group_id = p_group
        UNION ALL
        SELECT NULL, m.value, json_strip_nulls(json_build_object('value', m.value, 'display', m.display))::text
          FROM group_strangers m WHERE m.tenant_id = p_tenant AND m.group_id = p_group) m
$$;

-- The groups that people are in, as the JSON array of their `groups` attribute; no row for who is in none.
CREATE FUNCTION groups_of_each(p_tenant uuid, p_users uuid[], p_base text)
RETURNS TABLE (user_id uuid, groups text) LANGUAGE sql STABLE AS $$
    WITH direct AS MATERIALIZED (
        SELECT m.user_id, m.group_id FROM group_users m WHERE m.tenant_id = p_tenant AND m.user_id = ANY (p_users)),
    reached AS (
        SELECT of.user_id, of.group_id, bool_or(of.direct) AS direct FROM (
            SELECT d.user_id, d.group_id, true AS direct FROM direct d
            UNION ALL
            SELECT d.user_id, c.ancestor_id, false FROM direct d
              JOIN group_closure c ON c.tenant_id = p_tenant AND c.descendant_id = d.group_id) of
         GROUP BY of.user_id, of.group_id)
    SELECT r.user_id, '[' || string_agg(json_build_object(
                   'value', g.id, '$ref', p_base || '/Groups/' || g.id, 'display', g.display_name,
                   'type', CASE WHEN r.direct THEN 'direct' ELSE 'indirect' END)::text, ',' ORDER BY g.id) || ']'
      FROM reached r JOIN groups g ON g.tenant_id = p_tenant AND g.id = r.group_id
     GROUP BY r.user_id
$$;

-- The same for one person; NULL when there is none, which is soon found out.
CREATE FUNCTION groups_of(p_tenant uuid, p_user uuid, p_base text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM group_users m WHERE m.tenant_id = p_tenant AND m.user_id = p_user) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT of.groups FROM groups_of_each(p_tenant, ARRAY[p_user], p_base) of);
END $$;

-- The names of the groups a person is in, directly or through others.
CREATE FUNCTION group_names_of(p_tenant uuid, p_user uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(g.display_name ORDER BY g.id), '{}') FROM groups g
     WHERE g.tenant_id = p_tenant AND g.id IN (
               SELECT m.group_id FROM group_users m WHERE m.tenant_id = p_tenant AND m.user_id = p_user
               UNION
               SELECT c.ancestor_id FROM group_users m
                 JOIN group_closure c ON c.tenant_id = m.tenant_id AND c.descendant_id = m.group_id
                WHERE m.tenant_id = p_tenant AND m.user_id = p_user)
$$;

-- The names of the groups above a group.
CREATE FUNCTION names_above(p_tenant uuid, p_group uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(a.display_name), '{}')
      FROM group_closure c JOIN groups a ON a.tenant_id = c.tenant_id AND a.id = c.ancestor_id
     WHERE c.tenant_id = p_tenant AND c.descendant_id = p_group
$$;

-- Passes the gate and brings the group, if one is named; its members only if they are asked for.
CREATE FUNCTION scim_admit_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_needs text, p_group uuid, p_base text, p_members boolean
) RETURNS group_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    r group_result;
BEGIN
    g := gate(p_tenant, p_token, p_digest, p_needs);
    r := opened_group(g);
    IF g.verdict <> 'ok' THEN
        RETURN r;
    END IF;
    IF p_needs = 'write' THEN
        r.rule := g.rule::text;
        r.rule_version := g.rule_version;
    END IF;
    SELECT s.id, s.display_name, s.external_id, s.version, s.created_at, s.last_modified
      INTO r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified
      FROM groups s WHERE s.tenant_id = p_tenant AND s.id = p_group;
    IF r.id IS NULL THEN
        RETURN r;
    END IF;
    IF p_needs = 'write' THEN
        r.above := names_above(p_tenant, p_group);
    END IF;
    IF p_members THEN
        r.members := members_of(p_tenant, p_group, p_base);
    END IF;
    RETURN r;
END $$;

-- The members for the answer to a change: an array, empty when there are none, NULL when there are more than p_most.
CREATE FUNCTION scim_members(p_tenant uuid, p_group uuid, p_base text, p_most integer) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    IF (SELECT count(*) FROM (SELECT FROM group_users WHERE tenant_id = p_tenant AND group_id = p_group
                              LIMIT p_most::bigint + 1) few) > p_most THEN
        RETURN NULL;
    END IF;
    RETURN coalesce(members_of(p_tenant, p_group, p_base), '[]');
END $$;

-- Works the groups' ancestry out anew. Nesting changes are few and take turns (see write_group).
CREATE FUNCTION rebuild_closure(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM group_closure WHERE tenant_id = p_tenant;
    INSERT INTO group_closure (tenant_id, descendant_id, ancestor_id)
    WITH RECURSIVE up AS (
        SELECT child_id AS descendant_id, group_id AS ancestor_id FROM group_children WHERE tenant_id = p_tenant
        UNION
        SELECT up.descendant_id, c.group_id FROM up
          JOIN group_children c ON c.tenant_id = p_tenant AND c.child_id = up.ancestor_id)
    SELECT p_tenant, descendant_id, ancestor_id FROM up
$$;

-- Everybody in a group, directly or through a group below it.
CREATE FUNCTION everybody_in(p_tenant uuid, p_groups uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT m.user_id FROM group_users m WHERE m.tenant_id = p_tenant AND m.group_id = ANY (p_groups)
    UNION
    SELECT m.user_id FROM group_closure c
      JOIN group_users m ON m.tenant_id = c.tenant_id AND m.group_id = c.descendant_id
     WHERE c.tenant_id = p_tenant AND c.ancestor_id = ANY (p_groups)
$$;

-- The same for groups that come under another name: nobody is put into one of them, or into one below, before this
-- transaction ends, or they would not be judged by that name.
CREATE FUNCTION everybody_under(p_tenant uuid, p_groups uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM groups
      WHERE tenant_id = p_tenant AND id = ANY (p_groups || ARRAY(
                SELECT descendant_id FROM group_closure WHERE tenant_id = p_tenant AND ancestor_id = ANY (p_groups)))
      ORDER BY id FOR NO KEY UPDATE;
    RETURN QUERY SELECT everybody_in(p_tenant, p_groups);
END $$;

-- Keeps what the provider calls the members that a step names, and forgets it where a step that sets them all calls them
-- nothing. Returns whether anything changed.
CREATE FUNCTION name_members(p_tenant uuid, p_group uuid, p_step jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
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
            UPDATE group_users m SET display = n.display, display_key = n.display_key FROM named n
             WHERE m.tenant_id = p_tenant AND m.group_id = p_group AND m.user_id = n.id
               AND m.display IS DISTINCT FROM n.display AND (v_all OR n.display IS NOT NULL) RETURNING 1),
        nested AS (
            UPDATE group_children m SET display = n.display, display_key = n.display_key FROM named n
             WHERE m.tenant_id = p_tenant AND m.group_id = p_group AND m.child_id = n.id
               AND m.display IS DISTINCT FROM n.display AND (v_all OR n.display IS NOT NULL) RETURNING 1)
        SELECT EXISTS (SELECT FROM people) OR EXISTS (SELECT FROM nested) INTO v_changed;
    ELSIF v_all THEN
        UPDATE group_users SET display = NULL, display_key = NULL
         WHERE tenant_id = p_tenant AND group_id = p_group AND display IS NOT NULL;
        v_changed := FOUND;
        UPDATE group_children SET display = NULL, display_key = NULL
         WHERE tenant_id = p_tenant AND group_id = p_group AND display IS NOT NULL;
        v_changed := v_changed OR FOUND;
    END IF;
    RETURN v_changed;
END $$;

-- Keeps the members of a step whose ids can't be anybody's, 100 in a group at the most. Returns whether anything changed.
CREATE FUNCTION write_strangers(p_tenant uuid, p_group uuid, p_step jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_op text := p_step ->> 'op';
    v_strangers jsonb := coalesce(p_step -> 'strangers', '[]');
    v_changed boolean := false;
BEGIN
    IF v_op <> 'add' THEN
        DELETE FROM group_strangers WHERE tenant_id = p_tenant AND group_id = p_group
           AND (value IN (SELECT e ->> 'value' FROM jsonb_array_elements(v_strangers) e)) = (v_op = 'remove');
        v_changed := FOUND;
    END IF;
    IF v_op <> 'remove' AND v_strangers <> '[]' THEN
        INSERT INTO group_strangers AS k (tenant_id, group_id, value, display, display_key)
        SELECT p_tenant, p_group, e.value, e.display, e.display_key
          FROM jsonb_to_recordset(v_strangers) e(value text, display text, display_key text)
        ON CONFLICT (tenant_id, group_id, value) DO UPDATE
           SET display = excluded.display, display_key = excluded.display_key
         WHERE k.display IS DISTINCT FROM excluded.display AND (v_op = 'set' OR excluded.display IS NOT NULL);
        v_changed := FOUND OR v_changed;
        IF (SELECT count(*) FROM group_strangers WHERE tenant_id = p_tenant AND group_id = p_group) > 100 THEN
            RAISE EXCEPTION 'more than 100 members that nobody here can be' USING ERRCODE = 'RC413';
        END IF;
    END IF;
    RETURN v_changed;
END $$;

CREATE TYPE group_change AS (
    verdict text,   -- the gate's, or: done, stale, unknown_member, strangers, cycle, uniqueness, not_found
    token_label text, owner_id uuid, plan text, reason text,
    id uuid, display_name text, external_id text, version integer, created_at timestamptz, last_modified timestamptz,
    changed boolean, touched uuid[]
);

-- Carries out a change of a group, in the caller's transaction. p_change: create, display_name with display_name_key and
-- external_id where they are to change, unique_name, version (only if the change depends on it), relevant (whether names that count for roles
-- are concerned), and steps: an array of {"op": add | remove | set, "ids": […]}, with "displays" and "display_keys" in
-- the order of the ids if the provider calls any of them by a name, null where it does not; and with "strangers", an array
-- of {"value", "display", "display_key"}, if there are members whose ids can't be anybody's.
CREATE FUNCTION write_group(p_tenant uuid, p_group uuid, p_change jsonb) RETURNS group_change LANGUAGE plpgsql AS $$
DECLARE
    c group_change;
    s groups;
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
    IF EXISTS (SELECT FROM groups WHERE tenant_id = p_tenant AND id = ANY (v_ids))
       OR EXISTS (SELECT FROM group_children WHERE tenant_id = p_tenant AND group_id = p_group
                     AND p_change -> 'steps' @> '[{"op": "set"}]') THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
        v_nested := true;
    END IF;
    IF (p_change ->> 'create')::boolean THEN
        INSERT INTO groups (tenant_id, display_name, display_name_key, external_id, created_at, last_modified)
        VALUES (p_tenant, p_change ->> 'display_name', p_change ->> 'display_name_key', p_change ->> 'external_id',
                statement_timestamp(), statement_timestamp())
        RETURNING * INTO s;
        c.changed := true;
    ELSE
        SELECT * INTO s FROM groups WHERE tenant_id = p_tenant AND id = p_group FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no such group' USING ERRCODE = 'RC404';
        END IF;
        IF s.version <> (p_change ->> 'version')::integer THEN
            RAISE EXCEPTION 'the group changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
        c.changed := false;
    END IF;
    IF (p_change ->> 'unique_name')::boolean AND EXISTS (
        SELECT FROM groups WHERE tenant_id = p_tenant AND display_name_key = p_change ->> 'display_name_key' AND id <> s.id
    ) THEN
        RAISE EXCEPTION 'displayName is taken' USING ERRCODE = 'unique_violation';
    END IF;
    FOR v_step IN SELECT jsonb_array_elements(p_change -> 'steps') LOOP
        v_ids := ARRAY(SELECT DISTINCT e::uuid FROM jsonb_array_elements_text(v_step -> 'ids') e);
        IF v_step ? 'strangers' OR v_step ->> 'op' = 'set' THEN
            c.changed := write_strangers(p_tenant, s.id, v_step) OR c.changed;
        END IF;
        IF v_step ->> 'op' <> 'remove' THEN
            v_found := ARRAY(SELECT id FROM users WHERE tenant_id = p_tenant AND id = ANY (v_ids));
            v_inner := '{}';
            IF cardinality(v_found) < cardinality(v_ids) THEN
                v_inner := ARRAY(SELECT id FROM groups WHERE tenant_id = p_tenant AND id = ANY (v_ids));
            END IF;
            IF cardinality(v_found) + cardinality(v_inner) < cardinality(v_ids) THEN
                RAISE EXCEPTION '%', (SELECT e FROM unnest(v_ids) e WHERE e <> ALL (v_found || v_inner) LIMIT 1)
                    USING ERRCODE = 'RC400';
            END IF;
        END IF;
        IF v_step ->> 'op' <> 'add' THEN
            WITH gone AS (
                DELETE FROM group_users WHERE tenant_id = p_tenant AND group_id = s.id
                   AND (user_id = ANY (v_ids)) = (v_step ->> 'op' = 'remove') RETURNING user_id)
            SELECT v_users || coalesce(array_agg(user_id), '{}') INTO v_users FROM gone;
            WITH gone AS (
                DELETE FROM group_children WHERE tenant_id = p_tenant AND group_id = s.id
                   AND (child_id = ANY (v_ids)) = (v_step ->> 'op' = 'remove') RETURNING child_id)
            SELECT coalesce(array_agg(child_id), '{}') INTO v_some FROM gone;
            IF cardinality(v_some) > 0 THEN
                IF NOT v_nested THEN
                    PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
                    v_nested := true;
                END IF;
                v_users := v_users || ARRAY(SELECT everybody_in(p_tenant, v_some));
                PERFORM rebuild_closure(p_tenant);
                c.changed := true;
            END IF;
        END IF;
        IF v_step ->> 'op' <> 'remove' THEN
            WITH come AS (
                INSERT INTO group_users (tenant_id, group_id, user_id)
                SELECT p_tenant, s.id, e FROM unnest(v_found) e ON CONFLICT DO NOTHING RETURNING user_id)
            SELECT v_users || coalesce(array_agg(user_id), '{}') INTO v_users FROM come;
            v_children := '{}';
            IF cardinality(v_inner) > 0 THEN
                WITH come AS (
                    INSERT INTO group_children (tenant_id, group_id, child_id)
                    SELECT p_tenant, s.id, e FROM unnest(v_inner) e ON CONFLICT DO NOTHING RETURNING child_id)
                SELECT coalesce(array_agg(child_id), '{}') INTO v_children FROM come;
            END IF;
            IF v_step ? 'displays' OR v_step ->> 'op' = 'set' THEN
                c.changed := name_members(p_tenant, s.id, v_step) OR c.changed;
            END IF;
            IF cardinality(v_children) > 0 THEN
                IF s.id = ANY (v_children) OR EXISTS (
                    SELECT FROM group_closure WHERE tenant_id = p_tenant AND descendant_id = s.id
                       AND ancestor_id = ANY (v_children)
                ) THEN
                    RAISE EXCEPTION 'a group would be inside itself' USING ERRCODE = 'RC409';
                END IF;
                PERFORM rebuild_closure(p_tenant);
                v_users := v_users || ARRAY(SELECT everybody_under(p_tenant, v_children));
                c.changed := true;
            END IF;
        END IF;
    END LOOP;
    v_renamed := coalesce(s.display_name <> p_change ->> 'display_name', false);
    v_external := CASE WHEN p_change ? 'external_id' THEN p_change ->> 'external_id' ELSE s.external_id END;
    IF v_renamed AND (p_change ->> 'relevant')::boolean THEN
        v_users := v_users || ARRAY(SELECT everybody_under(p_tenant, ARRAY[s.id]));
    END IF;
    c.changed := c.changed OR cardinality(v_users) > 0 OR v_renamed
        OR s.external_id IS DISTINCT FROM v_external;
    IF c.changed AND NOT (p_change ->> 'create')::boolean THEN
        UPDATE groups
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
            UPDATE tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
        END IF;
    ELSE
        -- After the members: whoever edits the role rule is waited for here, or waits, and then sees them.
        IF held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer THEN
            RAISE EXCEPTION 'the role rule or the nesting changed meanwhile' USING ERRCODE = 'RC001';
        END IF;
    END IF;
    c.display_name := s.display_name; c.external_id := v_external;
    c.id := s.id; c.version := s.version; c.created_at := s.created_at; c.last_modified := s.last_modified;
    c.verdict := 'done';
    RETURN c;
END $$;

-- Closes the cases of refused changes that an accepted change of a group takes back, be it by asking for what is so
-- already: those of people it adds or removes by name, and where it says what the group is as a whole (all its members,
-- its name, that it is no more) those in which one of p_names, the group's before and after it, has a part.
CREATE FUNCTION close_cases_of_group(p_tenant uuid, p_change jsonb, p_names text[]) RETURNS void LANGUAGE sql AS $$
    WITH steps AS (
        SELECT s ->> 'op' AS op, s -> 'ids' AS ids FROM jsonb_array_elements(p_change -> 'steps') s)
    UPDATE conflict_cases c SET closed_at = clock_timestamp(), closed_because = 'the cause is gone'
     WHERE c.tenant_id = p_tenant AND c.closed_at IS NULL AND NOT c.stored
       AND (EXISTS (SELECT FROM steps WHERE op <> 'set' AND ids ? c.user_id::text)
            OR ((NOT p_change ? 'steps' OR p_change ? 'display_name' OR EXISTS (SELECT FROM steps WHERE op = 'set'))
                AND EXISTS (SELECT FROM jsonb_array_elements(c.names) n
                             WHERE n ->> 'source' = ANY (SELECT 'group ' || p FROM unnest(p_names) p))))
$$;

-- A change of a group as an identity provider makes it. When names that count for roles are concerned the caller goes
-- on in the same transaction (scim_touched, scim_settle) and writes the audit entry there; otherwise it is written here.
CREATE FUNCTION scim_write_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_change jsonb, p_call jsonb
) RETURNS group_change LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    c group_change;
    v_status integer;
    v_detail text;
    v_target text := p_group::text;
    v_name text;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        RETURN c;
    END IF;
    IF (p_change ->> 'relevant')::boolean THEN
        -- Changes that move roles through groups take turns with one another and with edits of the role rule.
        PERFORM FROM tenants WHERE id = p_tenant FOR NO KEY UPDATE;
        IF (SELECT role_rule_version FROM tenants WHERE id = p_tenant) <> (p_change ->> 'rule_version')::integer THEN
            c.verdict := 'stale';
            RETURN c;
        END IF;
        SELECT display_name INTO v_name FROM groups WHERE tenant_id = p_tenant AND id = p_group;
    END IF;
    BEGIN
        c := write_group(p_tenant, p_group, p_change);
    EXCEPTION
        WHEN unique_violation THEN c.verdict := 'uniqueness'; v_detail := 'displayName is taken';
        WHEN SQLSTATE 'RC001' THEN c.verdict := 'stale';
        WHEN SQLSTATE 'RC404' THEN c.verdict := 'not_found'; v_detail := 'not found';
        WHEN SQLSTATE 'RC409' THEN c.verdict := 'cycle'; v_detail := SQLERRM;
        WHEN SQLSTATE 'RC400' THEN c.verdict := 'unknown_member'; c.reason := SQLERRM;
            v_detail := 'not a member of this tenant: ' || SQLERRM;
        WHEN SQLSTATE 'RC413' THEN c.verdict := 'strangers'; v_detail := SQLERRM;
    END;
    IF c.verdict = 'done' AND (p_change ->> 'relevant')::boolean THEN
        PERFORM close_cases_of_group(p_tenant, p_change, ARRAY[v_name, c.display_name]);
    END IF;
    IF c.verdict = 'stale' OR (c.verdict = 'done' AND (p_change ->> 'relevant')::boolean) THEN
        RETURN c;
    END IF;
    v_status := CASE c.verdict WHEN 'not_found' THEN 404 WHEN 'uniqueness' THEN 409
                               WHEN 'done' THEN (p_call ->> 'status')::integer ELSE 400 END;
    PERFORM audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
                        v_status, v_detail, CASE WHEN c.changed THEN ARRAY[p_change ->> 'event'] ELSE '{}' END,
                        NULL, coalesce(c.id, p_group)::text);
    IF c.verdict = 'done' AND c.changed THEN
        PERFORM announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(jsonb_build_object(
            'topic', p_change ->> 'event', 'group_id', c.id, 'display_name', c.display_name)));
    END IF;
    RETURN c;
END $$;

-- What nearly every change of a group is: people come, or go, by their ids, into or out of a group whose name, and those
-- above it, count for no role by the rule of that version. Whatever is otherwise is `elsewhere`, or `stale`, and then
-- nothing was done. Members are brought with the answer if they are wanted and not more than p_most.
CREATE FUNCTION scim_change_members(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_users uuid[], p_leave boolean, p_remembered jsonb,
    p_base text, p_most integer, p_call jsonb
) RETURNS group_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    r group_result;
    v_changed boolean;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    r := opened_group(g);
    IF g.verdict <> 'ok' THEN
        RETURN r;
    END IF;
    IF p_remembered <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst,
                                          'rule_version', g.rule_version) THEN
        r.verdict := 'stale';
        RETURN r;
    END IF;
    SELECT s.id, s.display_name, s.external_id, s.version, s.created_at, s.last_modified
      INTO r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified
      FROM groups s WHERE s.tenant_id = p_tenant AND s.id = p_group FOR NO KEY UPDATE;
    IF r.id IS NULL
       OR (p_leave AND EXISTS (SELECT FROM group_children WHERE tenant_id = p_tenant AND group_id = p_group
                                  AND child_id = ANY (p_users)))
       OR (NOT p_leave AND (SELECT count(*) FROM users WHERE tenant_id = p_tenant AND id = ANY (p_users))
                           < cardinality(p_users)) THEN
        r.verdict := 'elsewhere';
        RETURN r;
    END IF;
    IF p_leave THEN
        DELETE FROM group_users WHERE tenant_id = p_tenant AND group_id = p_group AND user_id = ANY (p_users);
    ELSE
        INSERT INTO group_users (tenant_id, group_id, user_id)
        SELECT p_tenant, p_group, e FROM unnest(p_users) e ORDER BY e ON CONFLICT DO NOTHING;
    END IF;
    v_changed := FOUND;
    IF v_changed THEN
        UPDATE groups SET version = version + 1, last_modified = statement_timestamp()
         WHERE tenant_id = p_tenant AND id = p_group
        RETURNING version, last_modified INTO r.version, r.last_modified;
        -- After the members: whoever edits the role rule is waited for here, or waits, and then sees them.
        IF held_rule_version(p_tenant) <> g.rule_version THEN
            RAISE EXCEPTION 'the role rule or the nesting changed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO outbox (tenant_id, topic, request_id, payload)
        VALUES (p_tenant, 'group.changed', p_call ->> 'request_id',
                jsonb_build_object('group_id', p_group, 'display_name', r.display_name));
    END IF;
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', 200, NULL,
                        CASE WHEN v_changed THEN ARRAY['group.changed'] ELSE '{}' END, NULL, p_group::text);
    IF p_most > 0 AND (SELECT count(*) FROM (SELECT FROM group_users WHERE tenant_id = p_tenant AND group_id = p_group
                                             LIMIT p_most::bigint + 1) few) <= p_most THEN
        r.members := coalesce(members_of(p_tenant, p_group, p_base), '[]');
    END IF;
    r.verdict := 'done';
    RETURN r;
END $$;

-- Takes a group away, with p_version only if that is its version. With p_relevant the caller goes on as after
-- scim_write_group.
CREATE FUNCTION scim_delete_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_relevant boolean, p_rule_version integer,
    p_call jsonb, p_version integer
) RETURNS group_change LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    c group_change;
    v_children boolean;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        RETURN c;
    END IF;
    IF p_relevant THEN
        PERFORM FROM tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    END IF;
    -- Whoever has the tenant has kept those who edit the rule away; the others hold it together.
    IF (p_relevant AND (SELECT role_rule_version FROM tenants WHERE id = p_tenant) <> p_rule_version)
       OR (NOT p_relevant AND held_rule_version(p_tenant) <> p_rule_version) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF p_version IS NOT NULL THEN
        PERFORM FROM groups WHERE tenant_id = p_tenant AND id = p_group FOR UPDATE;
        IF (SELECT version FROM groups WHERE tenant_id = p_tenant AND id = p_group) <> p_version THEN
            c.verdict := 'stale';
            RETURN c;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
    IF p_relevant THEN
        c.touched := ARRAY(SELECT everybody_in(p_tenant, ARRAY[p_group]));
    END IF;
    v_children := EXISTS (SELECT FROM group_closure WHERE tenant_id = p_tenant
                          AND (descendant_id = p_group OR ancestor_id = p_group));
    UPDATE groups SET version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant
       AND id IN (SELECT group_id FROM group_children WHERE tenant_id = p_tenant AND child_id = p_group);
    DELETE FROM groups WHERE tenant_id = p_tenant AND id = p_group RETURNING display_name INTO c.reason;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
    ELSE
        c.verdict := 'done';
        c.id := p_group;
        IF v_children THEN
            PERFORM rebuild_closure(p_tenant);
            IF p_relevant THEN
                UPDATE tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
            END IF;
        END IF;
    END IF;
    IF p_relevant AND c.verdict = 'done' THEN
        PERFORM close_cases_of_group(p_tenant, '{}', ARRAY[c.reason]);
        RETURN c;
    END IF;
    PERFORM audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
                        CASE c.verdict WHEN 'done' THEN 204 ELSE 404 END, NULL,
                        CASE c.verdict WHEN 'done' THEN ARRAY['group.removed'] ELSE '{}' END, NULL, p_group::text);
    IF c.verdict = 'done' THEN
        PERFORM announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(jsonb_build_object(
            'topic', 'group.removed', 'group_id', p_group, 'display_name', c.reason)));
    END IF;
    RETURN c;
END $$;

CREATE TYPE touched_person AS (
    user_id uuid, account_id uuid, user_name text, active boolean, roles text, groups text, standing text
);

-- The people whose group names have changed, locked in the order of their ids, with all that decides their role.
CREATE FUNCTION scim_touched(p_tenant uuid, p_users uuid[], p_base text) RETURNS SETOF touched_person
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    PERFORM FROM accounts a
      WHERE a.tenant_id = p_tenant
        AND a.id IN (SELECT account_id FROM users WHERE tenant_id = p_tenant AND id = ANY (p_users))
      ORDER BY a.id FOR UPDATE;
    RETURN QUERY
    SELECT u.id, a.id, a.user_name, a.active, (u.document -> 'roles')::text, groups_of(p_tenant, u.id, p_base),
           a.standing::text
      FROM users u JOIN accounts a ON a.tenant_id = u.tenant_id AND a.id = u.account_id
     WHERE u.tenant_id = p_tenant AND u.id = ANY (p_users) ORDER BY a.id;
END $$;

-- Gives the touched people the roles that were worked out for them, opens and closes their cases, and tells.
-- p_people: {account_id, user_id, user_name_key, role, is_admin, standing, events, case?, keep_case?}.
CREATE FUNCTION scim_settle(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_people jsonb, p_group uuid, p_event jsonb, p_call jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    p jsonb;
    g gate_result;
    v_events text[] := '{}';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    FOR p IN SELECT jsonb_array_elements(p_people) LOOP
        UPDATE accounts
           SET role = p ->> 'role', is_admin = (p ->> 'is_admin')::boolean, standing = p -> 'standing',
               facts = facts + 1
         WHERE tenant_id = p_tenant AND id = (p ->> 'account_id')::uuid;
        PERFORM settle_cases(p_tenant, (p ->> 'user_id')::uuid, p);
        PERFORM announce(p_tenant, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p -> 'events');
        v_events := v_events || event_names(p);
    END LOOP;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer, NULL,
                        ARRAY[p_event ->> 'topic'] || ARRAY(SELECT DISTINCT unnest(v_events)), NULL, p_group::text);
    PERFORM announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(p_event));
END $$;

-- Writes down a refused change of a group, and the cases of everybody whose roles conflicted.
CREATE FUNCTION scim_refuse_group(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_call jsonb, p_status integer, p_detail text,
    p_target text, p_cases jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    k jsonb;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    g.token_label := p_label;
    g.owner_id := p_owner;
    FOR k IN SELECT jsonb_array_elements(p_cases) LOOP
        PERFORM open_case(p_tenant, (k ->> 'user_id')::uuid, k);
    END LOOP;
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'refused', p_status, p_detail,
                        CASE WHEN jsonb_array_length(p_cases) > 0 THEN ARRAY['conflict.opened'] ELSE '{}' END,
                        NULL, p_target);
END $$;

-- Look-ups providers make before they create a group, and pages of all groups.
CREATE FUNCTION scim_find_groups(
    p_tenant uuid, p_token uuid, p_digest bytea, p_attribute text, p_value text, p_offset integer, p_count integer,
    p_base text, p_members boolean
) RETURNS SETOF group_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    r group_result;
    v_ids uuid[];
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'read');
    r := opened_group(g);
    IF g.verdict <> 'ok' THEN
        RETURN NEXT r;
        RETURN;
    END IF;
    IF p_attribute IS NULL THEN
        SELECT count(*) INTO r.total FROM groups WHERE tenant_id = p_tenant;
        v_ids := ARRAY(SELECT id FROM groups WHERE tenant_id = p_tenant ORDER BY id OFFSET p_offset LIMIT p_count);
    ELSE
        v_ids := CASE p_attribute
            WHEN 'displayName' THEN ARRAY(
                SELECT id FROM groups WHERE tenant_id = p_tenant AND display_name_key = p_value ORDER BY id)
            WHEN 'externalId' THEN ARRAY(
                SELECT id FROM groups WHERE tenant_id = p_tenant AND external_id = p_value ORDER BY id)
            WHEN 'id' THEN ARRAY(SELECT id FROM groups WHERE tenant_id = p_tenant AND id = p_value::uuid)
            WHEN 'members.value' THEN ARRAY(
                SELECT group_id FROM group_users WHERE tenant_id = p_tenant AND user_id = p_value::uuid
                UNION
                SELECT group_id FROM group_children WHERE tenant_id = p_tenant AND child_id = p_value::uuid
                ORDER BY 1)
        END;
        r.total := cardinality(v_ids);
        v_ids := v_ids[p_offset + 1 : p_offset + p_count];
    END IF;
    FOR r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified, r.members IN
        SELECT s.id, s.display_name, s.external_id, s.version, s.created_at, s.last_modified,
               CASE WHEN p_members THEN members_of(p_tenant, s.id, p_base) END
          FROM groups s WHERE s.tenant_id = p_tenant AND s.id = ANY (v_ids) ORDER BY s.id
    LOOP
        RETURN NEXT r;
    END LOOP;
    IF NOT FOUND THEN
        RETURN NEXT r;
    END IF;
END $$;
