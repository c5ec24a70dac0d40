-- What identity providers change about groups.

-- A change of a group as an identity provider makes it. When names that count for roles are concerned the caller goes
-- on in the same transaction (scim_touched, scim_settle) and writes the audit entry there; otherwise it is written here.
CREATE FUNCTION fn.scim_write_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_change jsonb, p_call jsonb
) RETURNS fn.group_change LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    c fn.group_change;
    v_status integer;
    v_detail text;
    v_target text := p_group::text;
    v_name text;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        RETURN c;
    END IF;
    IF (p_change ->> 'relevant')::boolean THEN
-- Changes that move roles through groups take turns with one another and with edits of the role rule.
        PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
        IF (SELECT role_rule_version FROM public.tenants WHERE id = p_tenant) <> (p_change ->> 'rule_version')::integer THEN
            c.verdict := 'stale';
            RETURN c;
        END IF;
        SELECT display_name INTO v_name FROM public.groups WHERE tenant_id = p_tenant AND id = p_group;
    END IF;
    BEGIN
        c := fn.write_group(p_tenant, p_group, p_change);
    EXCEPTION
        WHEN unique_violation THEN c.verdict := 'uniqueness'; v_detail := 'displayName is taken';
        WHEN SQLSTATE 'RC001' THEN c.verdict := 'stale';
        WHEN SQLSTATE 'RC404' THEN c.verdict := 'not_found'; v_detail := 'not found';
        WHEN SQLSTATE 'RC409' THEN c.verdict := 'cycle'; v_detail := SQLERRM;
        WHEN SQLSTATE 'RC400' THEN c.verdict := 'unknown_member'; c.reason := SQLERRM;
            v_detail := 'not a member of this tenant: ' || SQLERRM;
        WHEN SQLSTATE 'RC413' THEN c.verdict := 'unknown_members'; v_detail := SQLERRM;
    END;
    IF c.verdict = 'done' AND (p_change ->> 'relevant')::boolean THEN
        PERFORM fn.close_cases_of_group(p_tenant, p_change, ARRAY[v_name, c.display_name]);
    END IF;
    IF c.verdict = 'stale' OR (c.verdict = 'done' AND (p_change ->> 'relevant')::boolean) THEN
        RETURN c;
    END IF;
    v_status := CASE c.verdict WHEN 'not_found' THEN 404 WHEN 'uniqueness' THEN 409
                               WHEN 'done' THEN (p_call ->> 'status')::integer ELSE 400 END;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
                        v_status, v_detail, CASE WHEN c.changed THEN ARRAY[p_change ->> 'event'] ELSE '{}' END,
                        NULL, coalesce(c.id, p_group)::text);
    IF c.verdict = 'done' AND c.changed THEN
        PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(jsonb_build_object(
            'topic', p_change ->> 'event', 'group_id', c.id, 'display_name', c.display_name)));
    END IF;
    RETURN c;
END $$;

-- What nearly every change of a group is: people come, or go, by their ids, into or out of a group whose name, and those
-- above it, count for no role by the rule of that version. Whatever is otherwise is `elsewhere`, or `stale`, and then
-- nothing was done. Members are brought with the answer if they are wanted and not more than p_most.
CREATE FUNCTION fn.scim_change_members(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_users uuid[], p_leave boolean, p_remembered jsonb,
    p_base text, p_most integer, p_call jsonb
) RETURNS fn.group_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    r fn.group_result;
    v_changed boolean;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    r := fn.opened_group(g);
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
      FROM public.groups s WHERE s.tenant_id = p_tenant AND s.id = p_group FOR NO KEY UPDATE;
    IF r.id IS NULL
       OR (p_leave AND EXISTS (SELECT FROM public.group_children WHERE tenant_id = p_tenant AND group_id = p_group
                                  AND child_id = ANY (p_users)))
       OR (NOT p_leave AND (SELECT count(*) FROM public.users WHERE tenant_id = p_tenant AND id = ANY (p_users))
                           < cardinality(p_users)) THEN
        r.verdict := 'elsewhere';
        RETURN r;
    END IF;
    IF p_leave THEN
        DELETE FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group AND user_id = ANY (p_users);
    ELSE
        INSERT INTO public.group_users (tenant_id, group_id, user_id)
        SELECT p_tenant, p_group, e FROM unnest(p_users) e ORDER BY e ON CONFLICT DO NOTHING;
    END IF;
    v_changed := FOUND;
    IF v_changed THEN
        UPDATE public.groups SET version = version + 1, last_modified = statement_timestamp()
         WHERE tenant_id = p_tenant AND id = p_group
        RETURNING version, last_modified INTO r.version, r.last_modified;
-- After the members: whoever edits the role rule is waited for here, or waits, and then sees them.
        IF fn.held_rule_version(p_tenant) <> g.rule_version THEN
            RAISE EXCEPTION 'the role rule or the nesting changed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO public.outbox (tenant_id, topic, request_id, payload)
        VALUES (p_tenant, 'group.changed', p_call ->> 'request_id',
                jsonb_build_object('group_id', p_group, 'display_name', r.display_name));
    END IF;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', 200, NULL,
                        CASE WHEN v_changed THEN ARRAY['group.changed'] ELSE '{}' END, NULL, p_group::text);
    IF p_most > 0 AND (SELECT count(*) FROM (SELECT FROM public.group_users WHERE tenant_id = p_tenant AND group_id = p_group
                                             LIMIT p_most::bigint + 1) few) <= p_most THEN
        r.members := coalesce(fn.members_of(p_tenant, p_group, p_base), '[]');
    END IF;
    r.verdict := 'done';
    RETURN r;
END $$;

-- Takes a group away, with p_version only if that is its version. With p_relevant the caller goes on as after
-- scim_write_group.
CREATE FUNCTION fn.scim_delete_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_relevant boolean, p_rule_version integer,
    p_call jsonb, p_version integer
) RETURNS fn.group_change LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    c fn.group_change;
    v_children boolean;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        RETURN c;
    END IF;
    IF p_relevant THEN
        PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    END IF;
-- Whoever has the tenant has kept those who edit the rule away; the others hold it together.
    IF (p_relevant AND (SELECT role_rule_version FROM public.tenants WHERE id = p_tenant) <> p_rule_version)
       OR (NOT p_relevant AND fn.held_rule_version(p_tenant) <> p_rule_version) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF p_version IS NOT NULL THEN
        PERFORM FROM public.groups WHERE tenant_id = p_tenant AND id = p_group FOR UPDATE;
        IF (SELECT version FROM public.groups WHERE tenant_id = p_tenant AND id = p_group) <> p_version THEN
            c.verdict := 'stale';
            RETURN c;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('nesting ' || p_tenant, 0));
    IF p_relevant THEN
        c.touched := ARRAY(SELECT fn.everybody_in(p_tenant, ARRAY[p_group]));
    END IF;
    v_children := EXISTS (SELECT FROM public.group_closure WHERE tenant_id = p_tenant
                          AND (descendant_id = p_group OR ancestor_id = p_group));
    UPDATE public.groups SET version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant
       AND id IN (SELECT group_id FROM public.group_children WHERE tenant_id = p_tenant AND child_id = p_group);
    DELETE FROM public.groups WHERE tenant_id = p_tenant AND id = p_group RETURNING display_name INTO c.reason;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
    ELSE
        c.verdict := 'done';
        c.id := p_group;
        IF v_children THEN
            PERFORM fn.rebuild_closure(p_tenant);
            IF p_relevant THEN
                UPDATE public.tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
            END IF;
        END IF;
    END IF;
    IF p_relevant AND c.verdict = 'done' THEN
        PERFORM fn.close_cases_of_group(p_tenant, '{}', ARRAY[c.reason]);
        RETURN c;
    END IF;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
                        CASE c.verdict WHEN 'done' THEN 204 ELSE 404 END, NULL,
                        CASE c.verdict WHEN 'done' THEN ARRAY['group.removed'] ELSE '{}' END, NULL, p_group::text);
    IF c.verdict = 'done' THEN
        PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(jsonb_build_object(
            'topic', 'group.removed', 'group_id', p_group, 'display_name', c.reason)));
    END IF;
    RETURN c;
END $$;

-- The people whose group names have changed, locked in the order of their ids, with all that decides their role.
CREATE FUNCTION fn.scim_touched(p_tenant uuid, p_users uuid[], p_base text) RETURNS SETOF fn.touched_person
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    PERFORM FROM public.accounts a
      WHERE a.tenant_id = p_tenant
        AND a.id IN (SELECT account_id FROM public.users WHERE tenant_id = p_tenant AND id = ANY (p_users))
      ORDER BY a.id FOR UPDATE;
    RETURN QUERY
    SELECT u.id, a.id, a.user_name, a.active, (u.document -> 'roles')::text, fn.groups_of(p_tenant, u.id, p_base),
           a.role_state::text
      FROM public.users u JOIN public.accounts a ON a.tenant_id = u.tenant_id AND a.id = u.account_id
     WHERE u.tenant_id = p_tenant AND u.id = ANY (p_users) ORDER BY a.id;
END $$;

-- Gives the touched people the roles that were worked out for them, opens and closes their cases, and tells.
-- p_people: {account_id, user_id, user_name_key, role, is_admin, role_state, events, case?, unknown?}.
CREATE FUNCTION fn.scim_settle(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_people jsonb, p_group uuid, p_event jsonb, p_call jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    p jsonb;
    g fn.gate_result;
    v_events text[] := '{}';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    FOR p IN SELECT jsonb_array_elements(p_people) LOOP
        UPDATE public.accounts
           SET role = p ->> 'role', is_admin = (p ->> 'is_admin')::boolean, role_state = p -> 'role_state',
               group_revision = group_revision + 1
         WHERE tenant_id = p_tenant AND id = (p ->> 'account_id')::uuid;
        PERFORM fn.announce(p_tenant, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p -> 'events');
        v_events := v_events || fn.event_names(p)
            || fn.settle_cases(p_tenant, (p ->> 'user_id')::uuid, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p);
    END LOOP;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer, NULL,
                        ARRAY[p_event ->> 'topic'] || ARRAY(SELECT DISTINCT unnest(v_events)), NULL, p_group::text);
    PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(p_event));
END $$;

-- Writes down a refused change of a group, and the cases of everybody whose roles conflicted.
CREATE FUNCTION fn.scim_refuse_group(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_call jsonb, p_status integer, p_detail text,
    p_target text, p_cases jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    k jsonb;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    g.token_label := p_label;
    g.owner_id := p_owner;
    FOR k IN SELECT jsonb_array_elements(p_cases) LOOP
        PERFORM fn.open_case(p_tenant, (k ->> 'user_id')::uuid, k);
    END LOOP;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'refused', p_status, p_detail,
                        CASE WHEN jsonb_array_length(p_cases) > 0 THEN ARRAY['conflict.opened'] ELSE '{}' END,
                        NULL, p_target);
END $$;
