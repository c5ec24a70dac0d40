-- What identity providers ask about people: one comparison with an indexed attribute, or a page of everybody.

-- The look-up providers make before every create and all day: who has this userName, by its keys as for user_called.
CREATE FUNCTION fn.find_user_name(
    p_tenant uuid, p_token uuid, p_digest bytea, p_value text, p_first text, p_base text
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    u fn.user_result;
    v_user uuid;
    v_spelled text := coalesce(p_first, p_value);
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'read');
    IF (u.gate).verdict <> 'ok' THEN
        RETURN u;
    END IF;
    SELECT s.id, s.document::text, s.version, s.created_at, s.last_modified
      INTO u.id, u.document, u.version, u.created_at, u.last_modified
      FROM public.users s WHERE s.tenant_id = p_tenant AND s.user_name_key = v_spelled;
    IF FOUND THEN
        u.groups := fn.groups_of(p_tenant, u.id, p_base);
    ELSE
        v_user := fn.user_called(p_tenant, p_value, p_first);
        IF v_user IS NOT NULL THEN
            u := fn.bring_user(u, p_tenant, v_user, p_base, false);
        END IF;
    END IF;
    u.total := (u.id IS NOT NULL)::integer;
    RETURN u;
END $$;

-- The other look-ups: one comparison with one indexed attribute.
-- Always at least one row: the gate's verdict, with id NULL when nobody was found.
CREATE FUNCTION fn.find_users(
    p_tenant uuid, p_token uuid, p_digest bytea, p_attribute text, p_value text, p_first text, p_offset integer,
    p_count integer, p_base text
) RETURNS SETOF fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    u fn.user_result;
    v_found fn.user_result;
    v_any boolean := false;
    v_ids uuid[];
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'read');
    IF (u.gate).verdict <> 'ok' THEN
        RETURN NEXT u;
        RETURN;
    END IF;
    u.gate.rule := NULL;  -- nobody needs it in each row
    -- One statement for each: all of them in one expression would be planned anew with every call.
    CASE p_attribute
        WHEN 'userName' THEN
            v_ids := array_remove(ARRAY[fn.user_called(p_tenant, p_value, p_first)], NULL);
        WHEN 'id' THEN
            v_ids := ARRAY(SELECT id FROM public.users WHERE tenant_id = p_tenant AND id = p_value::uuid);
        WHEN 'externalId' THEN
            v_ids := ARRAY(SELECT id FROM public.users WHERE tenant_id = p_tenant AND external_id = p_value ORDER BY id);
        WHEN 'emails.value' THEN
            v_ids := ARRAY(SELECT user_id FROM public.user_emails
                            WHERE tenant_id = p_tenant AND value_key = p_value ORDER BY user_id);
    END CASE;
    u.total := cardinality(v_ids);
    FOR v_at IN p_offset + 1 .. least(p_offset::bigint + p_count, u.total)::integer LOOP
        v_found := fn.bring_user(u, p_tenant, v_ids[v_at], p_base, false);
        IF v_found.id IS NOT NULL THEN
            RETURN NEXT v_found;
            v_any := true;
        END IF;
    END LOOP;
    IF NOT v_any THEN
        RETURN NEXT u;
    END IF;
END $$;

-- A page of everybody, in the order they were created, from an index on or after somebody (p_after): a row with the
-- gate's verdict and the total, then the people.
CREATE FUNCTION fn.page_users(
    p_tenant uuid, p_token uuid, p_digest bytea, p_offset integer, p_count integer, p_after uuid, p_base text
) RETURNS SETOF fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    u fn.user_result;
    v_begins uuid;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'read');
    IF (u.gate).verdict <> 'ok' THEN
        RETURN NEXT u;
        RETURN;
    END IF;
    u.total := fn.people_in(p_tenant);
    RETURN NEXT u;
    -- Only ids are passed over for a page, and from the nearer end.
    CASE
        WHEN p_after IS NOT NULL THEN
            SELECT id INTO v_begins FROM public.users WHERE tenant_id = p_tenant AND id > p_after ORDER BY id LIMIT 1;
        WHEN p_offset = 0 THEN
            v_begins := '00000000-0000-0000-0000-000000000000';
        WHEN p_offset < u.total / 2 THEN
            SELECT id INTO v_begins FROM public.users WHERE tenant_id = p_tenant ORDER BY id OFFSET p_offset LIMIT 1;
        WHEN p_offset < u.total THEN
            SELECT id INTO v_begins FROM public.users WHERE tenant_id = p_tenant
             ORDER BY id DESC OFFSET u.total - p_offset - 1 LIMIT 1;
        ELSE  -- beyond the last
    END CASE;
    RETURN QUERY
        WITH page AS MATERIALIZED (
            SELECT * FROM public.users WHERE tenant_id = p_tenant AND id >= v_begins ORDER BY id LIMIT p_count)
        SELECT NULL::fn.gate_result, NULL::text, NULL::text, s.id, NULL::uuid, s.document::text, s.version, s.created_at,
               s.last_modified, NULL::boolean, NULL::text, NULL::integer, theirs.groups, NULL::bigint
          FROM page s
          LEFT JOIN fn.groups_of_each(p_tenant, ARRAY(SELECT id FROM page), p_base) theirs ON theirs.user_id = s.id
         ORDER BY s.id;
END $$;
