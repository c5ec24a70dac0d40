-- Changes of groups by which very many people come under another name that counts for roles, or leave one.

-- Whether a change of a group may concern the roles of more than p_many people: of those it names, those who are in the group
-- where it says who they all are, or what it is called, and those in groups that come or go. A NULL change takes it away.
CREATE FUNCTION fn.concerns_many(p_tenant uuid, p_group uuid, p_change jsonb, p_many integer) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE v_groups uuid[] := '{}';
BEGIN
    IF p_many < (SELECT coalesce(sum(jsonb_array_length(t -> 'ids')), 0)
                   FROM jsonb_array_elements(p_change -> 'steps') t) THEN
        RETURN true;
    ELSIF p_change IS NULL OR p_change ? 'display_name' OR p_change -> 'steps' @> '[{"op": "set"}]' THEN
        v_groups := ARRAY[p_group];
    END IF;
    IF p_change IS NOT NULL AND fn.concerns_nesting(p_tenant, p_group, p_change) THEN
        v_groups := v_groups || fn.groups_concerned(p_tenant, p_group, p_change);
    END IF;
    RETURN v_groups <> '{}'
       AND p_many < (SELECT count(*) FROM (SELECT fn.everybody_in(p_tenant, v_groups) LIMIT p_many + 1) few);
END $$;

-- Holds what decides roles for a change of a group, if it may concern many, so that none of their accounts has to be held: who
-- is judged by other names meanwhile waits, and then finds another version of the rule. Returns whether it does. Whoever
-- calls has the tenant.
-- Locks: the role rule, exclusively.
CREATE FUNCTION fn.held_for_many(p_tenant uuid, p_group uuid, p_change jsonb, p_many integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT fn.concerns_many(p_tenant, p_group, p_change, p_many) THEN
        RETURN false;
    END IF;
    PERFORM fn.hold_rule(p_tenant);
    UPDATE public.tenants SET role_rule_version = role_rule_version + 1 WHERE id = p_tenant;
    RETURN true;
END $$;

-- How many of these accounts, packed, are active, and the people of the first p_most of them.
CREATE FUNCTION fn.active_among(p_tenant uuid, p_accounts bytea, p_most integer, OUT number bigint, OUT users uuid[])
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    SELECT count(*), (array_agg(u.id ORDER BY u.id))[1 : p_most] INTO number, users
      FROM fn.unpacked(p_accounts) i
      JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = i AND a.active
      JOIN public.users u ON u.tenant_id = p_tenant AND u.account_id = a.id;
END $$;

-- Carries out for many what a change of a group means for their roles, and writes the change down. p_touched are all of them;
-- p_losing and p_roles as give_roles has them; p_follows, to whom a worker brings it; p_conflicting and p_unknown, whose names
-- are so now; p_events, what became of people, by its names. All ids of people are packed.
-- Locks: the list of whom it has to be brought to; the accounts from whom something is taken, by id; cases.
CREATE FUNCTION fn.settle_large_group(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_touched bytea, p_losing bytea[], p_roles jsonb,
    p_follows bytea, p_conflicting bytea, p_unknown bytea, p_events text[], p_group uuid, p_event jsonb,
    p_call jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    v_request_id text := p_call ->> 'request_id';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    PERFORM fn.add_to_role_change(p_tenant, v_request_id, p_follows);
    PERFORM fn.give_roles(p_tenant, v_request_id, p_losing, p_roles);
    IF fn.close_cases_of_many(p_tenant, p_conflicting, p_unknown, p_touched, 'the cause is gone') > 0 THEN
        p_events := p_events || ARRAY['conflict.closed'];
    END IF;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer,
                          'left out: ' || (p_call ->> 'left_out'),
                          ARRAY[p_event ->> 'topic'] || p_events, NULL, p_group::text);
    PERFORM fn.announce(p_tenant, NULL, v_request_id, jsonb_build_array(p_event));
END $$;
