-- Cases: conflicts of roles, and names that no role has.

-- Opens a role conflict's case, or counts it again. With p_stored the names that conflict are what is stored of the
-- person; without, they are what a refused change asked for.
CREATE FUNCTION fn.open_case(p_tenant uuid, p_user uuid, p_case jsonb, p_stored boolean DEFAULT false) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO public.conflict_cases (tenant_id, user_id, user_name_key, user_name, roles, names, detail, stored)
    VALUES (p_tenant, p_user, p_case ->> 'user_name_key', p_case ->> 'user_name',
            ARRAY(SELECT jsonb_array_elements_text(p_case -> 'roles')), p_case -> 'names', p_case ->> 'detail',
            p_stored)
    ON CONFLICT (tenant_id, user_name_key) WHERE closed_at IS NULL AND kind = 'conflict' DO UPDATE
       SET last_seen = clock_timestamp(), times = conflict_cases.times + 1, roles = excluded.roles,
           names = excluded.names, detail = excluded.detail, stored = conflict_cases.stored OR excluded.stored,
           user_id = coalesce(excluded.user_id, conflict_cases.user_id)
$$;

-- Closes the person's open cases: all, or only those of stored names ('{t}') or that of a refused change ('{f}').
-- A case of an unknown name is always of stored ones, and is found by the person alone.
CREATE FUNCTION fn.close_cases(
    p_tenant uuid, p_user uuid, p_user_name_key text, p_because text, p_stored boolean[] DEFAULT '{t,f}'
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE v_closed integer;
BEGIN
    UPDATE public.conflict_cases SET closed_at = clock_timestamp(), closed_because = p_because
     WHERE tenant_id = p_tenant AND closed_at IS NULL AND stored = ANY (p_stored)
       AND (user_id = p_user OR (kind = 'conflict' AND user_name_key = p_user_name_key));
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    RETURN v_closed;
END $$;

-- Opens the case of a person whose stored names hold one that no role has, and tells; where it is open already it says
-- which names they are now. Returns whether it was opened. Whoever calls holds the person's account.
CREATE FUNCTION fn.open_unknown_role(
    p_tenant uuid, p_user uuid, p_account uuid, p_request_id text, p_case jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_opened boolean;
BEGIN
    INSERT INTO public.conflict_cases AS k (tenant_id, user_id, user_name_key, user_name, roles, names, detail, stored, kind)
    VALUES (p_tenant, p_user, p_case ->> 'user_name_key', p_case ->> 'user_name', '{}', p_case -> 'names',
            p_case ->> 'detail', true, 'unknown_role')
    ON CONFLICT (tenant_id, user_id) WHERE closed_at IS NULL AND kind = 'unknown_role' DO UPDATE
       SET last_seen = clock_timestamp(), times = k.times + (k.names <> excluded.names)::integer, names = excluded.names,
           detail = excluded.detail, user_name = excluded.user_name, user_name_key = excluded.user_name_key
     WHERE (k.names, k.detail, k.user_name) <> (excluded.names, excluded.detail, excluded.user_name)
    RETURNING xmax = 0 INTO v_opened;
    IF v_opened THEN
        PERFORM fn.announce(p_tenant, p_account, p_request_id, jsonb_build_array(jsonb_build_object(
            'topic', 'unknown_role.opened',
            'names', (SELECT jsonb_agg(DISTINCT n -> 'name') FROM jsonb_array_elements(p_case -> 'names') n))));
    END IF;
    RETURN coalesce(v_opened, false);
END $$;

CREATE FUNCTION fn.settle_cases(p_tenant uuid, p_user uuid, p_account uuid, p_request_id text, p_change jsonb)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_stored boolean[] := CASE WHEN (p_change ->> 'about_roles')::boolean IS FALSE THEN '{t}' ELSE '{t,f}' END;
    v_events text[];
BEGIN
    IF p_change -> 'keep_case' IS NOT NULL OR NOT (p_change ?| '{case,unknown}' OR EXISTS (
           SELECT FROM public.conflict_cases WHERE tenant_id = p_tenant AND closed_at IS NULL)) THEN
        RETURN '{}';
    END IF;
    IF p_change -> 'case' IS NOT NULL THEN
        PERFORM fn.open_case(p_tenant, p_user, p_change -> 'case', true);
        UPDATE public.conflict_cases SET closed_at = clock_timestamp(), closed_because = 'the names conflict now'
         WHERE tenant_id = p_tenant AND closed_at IS NULL AND user_id = p_user AND kind = 'unknown_role';
        RETURN CASE WHEN FOUND THEN ARRAY['unknown_role.closed'] ELSE '{}' END;
    END IF;
    WITH closed AS (
        UPDATE public.conflict_cases SET closed_at = clock_timestamp(), closed_because = 'the cause is gone'
         WHERE tenant_id = p_tenant AND closed_at IS NULL AND stored = ANY (v_stored)
           AND (user_id = p_user OR (kind = 'conflict' AND user_name_key
                    = coalesce(p_change ->> 'first_key', p_change ->> 'user_name_key')))
           AND (kind = 'conflict' OR NOT p_change ? 'unknown') RETURNING kind)
    SELECT coalesce(array_agg(DISTINCT kind || '.closed'), '{}') INTO v_events FROM closed;
    IF p_change ? 'unknown' AND fn.open_unknown_role(p_tenant, p_user, p_account, p_request_id, p_change -> 'unknown') THEN
        v_events := v_events || ARRAY['unknown_role.opened'];
    END IF;
    RETURN v_events;
END $$;

-- Closes the cases of refused changes that an accepted change of a group takes back, be it by asking for what is so
-- already: those of people it adds or removes by name, and where it says what the group is as a whole (all its members,
-- its name, that it is no more) those in which one of p_names, the group's before and after it, has a part.
CREATE FUNCTION fn.close_cases_of_group(p_tenant uuid, p_change jsonb, p_names text[]) RETURNS void LANGUAGE sql AS $$
    WITH steps AS (
        SELECT s ->> 'op' AS op, s -> 'ids' AS ids FROM jsonb_array_elements(p_change -> 'steps') s)
    UPDATE public.conflict_cases c SET closed_at = clock_timestamp(), closed_because = 'the cause is gone'
     WHERE c.tenant_id = p_tenant AND c.closed_at IS NULL AND NOT c.stored
       AND (EXISTS (SELECT FROM steps WHERE op <> 'set' AND ids ? c.user_id::text)
            OR ((NOT p_change ? 'steps' OR p_change ? 'display_name' OR EXISTS (SELECT FROM steps WHERE op = 'set'))
                AND EXISTS (SELECT FROM jsonb_array_elements(c.names) n
                             WHERE n ->> 'source' = ANY (SELECT 'group ' || p FROM unnest(p_names) p))))
$$;

-- Deletes up to p_limit cases that were closed before p_before; returns how many. Skips what others have locked.
CREATE FUNCTION fn.forget_cases(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.conflict_cases WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.conflict_cases WHERE closed_at < least(p_before, now())
         LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_cases(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_cases(timestamptz, integer) TO rollcall_fleet;
