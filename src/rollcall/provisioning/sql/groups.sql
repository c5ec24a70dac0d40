-- What identity providers ask about groups.

-- Passes the gate and brings a group, if one is named; its members only if they are asked for.
CREATE FUNCTION fn.read_group(
    p_tenant uuid, p_token uuid, p_digest bytea, p_needs text, p_group uuid, p_base text, p_members boolean
) RETURNS fn.group_result LANGUAGE plpgsql AS $$
DECLARE r fn.group_result;
BEGIN
    r.gate := fn.gate(p_tenant, p_token, p_digest, p_needs);
    IF NOT fn.lets(r.gate, true) THEN
        RETURN r;
    END IF;
    SELECT s.id, s.display_name, s.external_id, s.version, s.created_at, s.last_modified
      INTO r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified
      FROM public.groups s WHERE s.tenant_id = p_tenant AND s.id = p_group;
    IF r.id IS NULL THEN
        RETURN r;
    END IF;
    IF p_needs = 'write' THEN
        r.above := fn.names_above(p_tenant, p_group);
    END IF;
    IF p_members THEN
        r.members := fn.members_of(p_tenant, p_group, p_base);
    END IF;
    RETURN r;
END $$;

-- The members for the answer to a change: an array, empty when there are none, NULL when there are more than p_most.
CREATE FUNCTION fn.few_members(p_tenant uuid, p_group uuid, p_base text, p_most integer) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_most = 0 OR fn.people_in_group(p_tenant, p_group, p_most::bigint + 1) > p_most THEN
        RETURN NULL;
    END IF;
    RETURN coalesce(fn.members_of(p_tenant, p_group, p_base), '[]');
END $$;

-- Look-ups providers make before they create a group, and pages of all groups. Members come with them unless p_most is
-- NULL; a page ends with the group by which it has p_most of them.
CREATE FUNCTION fn.find_groups(
    p_tenant uuid, p_token uuid, p_digest bytea, p_attribute text, p_value text, p_first text, p_offset integer,
    p_count integer, p_base text, p_most integer
) RETURNS SETOF fn.group_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.group_result;
    v_ids uuid[];
    v_left integer := p_most;
BEGIN
    r.gate := fn.gate(p_tenant, p_token, p_digest, 'read');
    IF (r.gate).verdict <> 'ok' THEN
        RETURN NEXT r;
        RETURN;
    END IF;
    r.gate.rule := NULL;  -- nobody needs it in each row
    IF p_attribute IS NULL THEN
        SELECT count(*) INTO r.total FROM public.groups WHERE tenant_id = p_tenant;
        v_ids := ARRAY(SELECT id FROM public.groups WHERE tenant_id = p_tenant ORDER BY id OFFSET p_offset LIMIT p_count);
    ELSE
        CASE p_attribute  -- a statement for each, as in find_users
            WHEN 'displayName' THEN
                v_ids := fn.groups_called(p_tenant, p_value, p_first);
            WHEN 'externalId' THEN
                v_ids := ARRAY(SELECT id FROM public.groups
                                WHERE tenant_id = p_tenant AND external_id = p_value ORDER BY id);
            WHEN 'id' THEN
                v_ids := ARRAY(SELECT id FROM public.groups WHERE tenant_id = p_tenant AND id = p_value::uuid);
            WHEN 'members.value' THEN
                v_ids := ARRAY(SELECT group_id FROM public.group_users
                                WHERE tenant_id = p_tenant AND user_id = p_value::uuid
                               UNION
                               SELECT group_id FROM public.group_children
                                WHERE tenant_id = p_tenant AND child_id = p_value::uuid
                               ORDER BY 1);
        END CASE;
        r.total := cardinality(v_ids);
        v_ids := v_ids[p_offset + 1 : p_offset + p_count];
    END IF;
    FOR r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified IN
        SELECT s.id, s.display_name, s.external_id, s.version, s.created_at, s.last_modified
          FROM unnest(v_ids) AS each (id) CROSS JOIN LATERAL (
               SELECT * FROM public.groups WHERE tenant_id = p_tenant AND id = each.id LIMIT 1) s
         ORDER BY s.id
    LOOP
        EXIT WHEN v_left <= 0;
        IF p_most IS NOT NULL THEN
            r.members := fn.members_of(p_tenant, r.id, p_base);
            IF cardinality(v_ids) > 1 THEN
                v_left := v_left - fn.people_in_group(p_tenant, r.id, p_most);
            END IF;
        END IF;
        RETURN NEXT r;
    END LOOP;
    IF NOT FOUND THEN
        RETURN NEXT r;
    END IF;
END $$;
