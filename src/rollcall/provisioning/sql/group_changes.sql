-- What identity providers change about groups.

-- Makes a group, or carries a change of one out. p_change as for write_group. When names that count for roles are
-- concerned (`relevant`) the caller goes on in the same transaction with touched_people and settle_group, which writes the
-- audit entry; otherwise it is written here. Members come with the answer unless there are more than p_most of them.
-- stale: the context, the role rule, or what the change depends on is another. gives: the change may only take away, and
-- does not; where it does as well, reason says what was left out.
-- With relevant names the change says how many people are `many`: where more may be touched, the caller goes on with
-- people_alike and settle_large_group.
-- Locks: with relevant names the tenant, and for many the role rule, exclusively; then as write_group.
CREATE FUNCTION fn.save_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_base text, p_context jsonb, p_change jsonb,
    p_most integer, p_call jsonb
) RETURNS fn.group_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.group_result;
    c fn.group_change;
    v_relevant boolean := (p_change ->> 'relevant')::boolean;
    v_detail text;
    v_name text;
    v_many boolean := false;
BEGIN
    r.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF NOT fn.lets(r.gate, (p_change ->> 'takes_only')::boolean) THEN
        RETURN r;
    END IF;
    IF fn.is_stale(r.gate, p_context)
       OR (v_relevant AND fn.locked_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer) THEN
        r.outcome := 'stale';
        RETURN r;
    END IF;
    IF v_relevant THEN
        SELECT display_name INTO v_name FROM public.groups WHERE tenant_id = p_tenant AND id = p_group;
        v_many := fn.held_for_many(p_tenant, p_group, p_change, (p_change ->> 'many')::integer);
    END IF;
    BEGIN
        c := fn.write_group(p_tenant, p_group, p_change || jsonb_build_object('large', v_many));
        r.outcome := 'done';
    EXCEPTION
        WHEN unique_violation THEN r.outcome := 'uniqueness'; v_detail := 'displayName is taken';
        WHEN SQLSTATE 'RC001' THEN r.outcome := 'stale';
        WHEN SQLSTATE 'RC403' THEN r.outcome := 'gives'; r.reason := SQLERRM;
        WHEN SQLSTATE 'RC404' THEN r.outcome := 'not_found'; v_detail := 'not found';
        WHEN SQLSTATE 'RC409' THEN r.outcome := 'cycle'; v_detail := SQLERRM;
        WHEN SQLSTATE 'RC400' THEN r.outcome := 'unknown_member'; r.reason := SQLERRM;
            v_detail := 'not a member of this tenant: ' || SQLERRM;
        WHEN SQLSTATE 'RC405' THEN r.outcome := 'no_member'; r.reason := SQLERRM;
            v_detail := 'no member of the group: ' || SQLERRM;
        WHEN SQLSTATE 'RC413' THEN r.outcome := 'unknown_members'; v_detail := SQLERRM;
    END;
    IF r.outcome IN ('stale', 'gives') THEN
        RETURN r;
    ELSIF r.outcome = 'done' THEN
        r := fn.with_change(r, c, v_many);
        IF c.left_out <> '' THEN
            v_detail := 'left out: ' || c.left_out;
            p_call := p_call || jsonb_build_object('status', CASE (r.gate).verdict WHEN 'paused' THEN 503 ELSE 403 END);
        END IF;
        r.members := fn.few_members(p_tenant, c.id, p_base, p_most);
        IF v_relevant THEN
            PERFORM fn.close_cases_of_group(p_tenant, p_change, ARRAY[v_name, c.display_name]);
            RETURN r;
        END IF;
    END IF;
    PERFORM fn.audit_group(p_tenant, r, p_token, p_call, v_detail, CASE WHEN c.changed THEN p_change ->> 'event' END,
                           coalesce(c.id, p_group));
    RETURN r;
END $$;

-- The version of the role rule, under the lock by which changes that move roles through groups, and edits of the rule, wait
-- for one another: the tenant's row. What follows in the transaction may concern everybody, so it has longer, and still less
-- than the pool gives it.
CREATE FUNCTION fn.locked_rule_version(p_tenant uuid) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('statement_timeout', '25s', true);
    PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    RETURN (SELECT role_rule_version FROM public.tenants WHERE id = p_tenant);
END $$;

-- A change of a group, as it is answered.
CREATE FUNCTION fn.with_change(r fn.group_result, c fn.group_change, p_many boolean) RETURNS fn.group_result
LANGUAGE plpgsql STABLE AS $$
BEGIN
    r.id := c.id; r.display_name := c.display_name; r.external_id := c.external_id; r.version := c.version;
    r.created_at := c.created_at; r.last_modified := c.last_modified; r.reason := c.left_out;
    IF p_many THEN
        r.many := (SELECT coalesce(string_agg(uuid_send(e), ''), '') FROM unnest(c.touched) e);
    ELSE
        r.touched := c.touched;
    END IF;
    RETURN r;
END $$;

-- Writes down what became of a change of a group that concerns no roles, and tells of it if p_event happened.
CREATE FUNCTION fn.audit_group(
    p_tenant uuid, r fn.group_result, p_token uuid, p_call jsonb, p_detail text, p_event text, p_group uuid
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fn.audit_call(
        p_tenant, r.gate, p_token, p_call, CASE r.outcome WHEN 'done' THEN 'done' ELSE 'refused' END,
        CASE r.outcome WHEN 'done' THEN (p_call ->> 'status')::integer WHEN 'not_found' THEN 404
                       WHEN 'uniqueness' THEN 409 ELSE 400 END,
        p_detail, CASE WHEN p_event IS NULL THEN '{}' ELSE ARRAY[p_event] END, NULL, p_group::text);
    IF p_event IS NOT NULL THEN
        PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(jsonb_build_object(
            'topic', p_event, 'group_id', p_group, 'display_name', r.display_name)));
    END IF;
END $$;

-- Takes a group away, with p_version only if that is its version. With p_relevant the caller goes on as after save_group.
-- Locks: with p_relevant the tenant, else the role rule, shared; with p_relevant and more than p_many people in it the role
-- rule, exclusively; nesting; the group and those it is in, by id; with p_relevant the accounts of everybody in it, unless
-- they are many.
CREATE FUNCTION fn.delete_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_group uuid, p_relevant boolean, p_rule_version integer,
    p_version integer, p_many integer, p_call jsonb
) RETURNS fn.group_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.group_result;
    v_rule_version integer;
    v_many boolean := false;
BEGIN
    r.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF NOT fn.lets(r.gate, true) THEN
        RETURN r;
    END IF;
    -- Whoever has the tenant has kept those who edit the rule away; the others hold it together.
    v_rule_version := CASE WHEN p_relevant THEN fn.locked_rule_version(p_tenant) ELSE fn.held_rule_version(p_tenant) END;
    IF v_rule_version <> p_rule_version THEN
        r.outcome := 'stale';
        RETURN r;
    END IF;
    IF p_relevant THEN
        v_many := fn.held_for_many(p_tenant, p_group, NULL, p_many);
    END IF;
    PERFORM fn.hold_nesting(p_tenant);
    PERFORM FROM public.groups
      WHERE tenant_id = p_tenant AND (id = p_group OR id IN (
                SELECT group_id FROM public.group_children WHERE tenant_id = p_tenant AND child_id = p_group))
      ORDER BY id FOR UPDATE;
    IF (SELECT version FROM public.groups WHERE tenant_id = p_tenant AND id = p_group) <> p_version THEN
        r.outcome := 'stale';
        RETURN r;
    END IF;
    IF v_many THEN
        r.many := (SELECT coalesce(string_agg(uuid_send(e), ''), '') FROM fn.everybody_in(p_tenant, ARRAY[p_group]) e);
    ELSIF p_relevant THEN
        r.touched := ARRAY(SELECT fn.everybody_in(p_tenant, ARRAY[p_group]));
        PERFORM fn.hold_accounts_of(p_tenant, r.touched);
    END IF;
    r.display_name := fn.remove_group(p_tenant, p_group, p_relevant);
    r.id := p_group;
    r.outcome := CASE WHEN r.display_name IS NULL THEN 'not_found' ELSE 'done' END;
    IF p_relevant AND r.outcome = 'done' THEN
        PERFORM fn.close_cases_of_group(p_tenant, '{}', ARRAY[r.display_name]);
        RETURN r;
    END IF;
    PERFORM fn.audit_group(p_tenant, r, p_token, p_call, NULL,
                           CASE WHEN r.outcome = 'done' THEN 'group.removed' END, p_group);
    RETURN r;
END $$;

-- The people whose group names have changed, locked in the order of their ids, with all that decides their role.
CREATE FUNCTION fn.touched_people(p_tenant uuid, p_users uuid[], p_base text) RETURNS SETOF fn.touched_person
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    PERFORM fn.hold_accounts_of(p_tenant, p_users);
    RETURN QUERY
    SELECT u.id, a.id, a.user_name, a.active, (u.document -> 'roles')::text, fn.groups_of(p_tenant, u.id, p_base),
           a.role_state::text
      FROM unnest(p_users) AS each (id) CROSS JOIN LATERAL (
           SELECT * FROM public.users WHERE tenant_id = p_tenant AND id = each.id LIMIT 1) u
      CROSS JOIN LATERAL (
           SELECT * FROM public.accounts WHERE tenant_id = p_tenant AND id = u.account_id LIMIT 1) a
     ORDER BY a.id;
END $$;

-- Gives the touched people the roles that were worked out for them, opens and closes their cases, and tells.
-- p_people: {account_id, user_id, user_name_key, role, is_admin, role_state, events, case?, unknown?}.
CREATE FUNCTION fn.settle_group(
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
        v_events := v_events
            || fn.announce(p_tenant, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p -> 'events')
            || fn.settle_cases(p_tenant, (p ->> 'user_id')::uuid, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p);
    END LOOP;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer,
                        'left out: ' || (p_call ->> 'left_out'),
                        ARRAY[p_event ->> 'topic'] || ARRAY(SELECT DISTINCT unnest(v_events)), NULL, p_group::text);
    PERFORM fn.announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(p_event));
END $$;

-- Writes down a refused change of a group, and the cases of everybody whose roles conflicted.
-- Locks: the tenant, as everybody who opens or closes several cases; the cases.
CREATE FUNCTION fn.refuse_group(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_call jsonb, p_status integer, p_detail text,
    p_target text, p_cases jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    k jsonb;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    PERFORM fn.locked_rule_version(p_tenant);
    g.token_label := p_label;
    g.owner_id := p_owner;
    FOR k IN SELECT jsonb_array_elements(p_cases) LOOP
        PERFORM fn.open_case(p_tenant, (k ->> 'user_id')::uuid, k);
    END LOOP;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'refused', p_status, p_detail,
                        CASE WHEN jsonb_array_length(p_cases) > 0 THEN ARRAY['conflict.opened'] ELSE '{}' END,
                        NULL, p_target);
END $$;
