-- Who is who: people and groups by the keys of their names (scim/name_keys.py). A stored key may be one of the first
-- version; then a row of user_name_keys or group_name_keys has the present one, as long as its first_key is what is stored.

-- The person whose userName has the key p_key, or is spelled by the first version's key p_first, which is NULL where that
-- is the same. Whoever is spelled so comes before others; p_but is nobody who is asked about. NULL: nobody has it.
CREATE FUNCTION fn.user_called(p_tenant uuid, p_key text, p_first text, p_but uuid DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_user uuid;
    v_spelled text := coalesce(p_first, p_key);  -- a look-up by a plain value is planned once
BEGIN
    SELECT s.id INTO v_user FROM public.users s WHERE s.tenant_id = p_tenant AND s.user_name_key = v_spelled;
    IF v_user IS NULL AND p_first IS NOT NULL THEN
        SELECT s.id INTO v_user FROM public.users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_key;
    END IF;
    IF v_user IS NULL THEN  -- hardly anybody has a key beside the stored one, which is soon found out
        PERFORM FROM public.user_name_keys k WHERE k.tenant_id = p_tenant AND k.key = p_key;
        IF FOUND THEN
            v_user := fn.user_beside(p_tenant, p_key, p_but);
        END IF;
    END IF;
    RETURN v_user;
END $$;

-- The first person with the present key p_key beside a stored one of the first version.
CREATE FUNCTION fn.user_beside(p_tenant uuid, p_key text, p_but uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT k.user_id
              FROM public.user_name_keys k
              JOIN public.users s ON s.tenant_id = k.tenant_id AND s.id = k.user_id AND s.user_name_key = k.first_key
             WHERE k.tenant_id = p_tenant AND k.key = p_key AND k.user_id IS DISTINCT FROM p_but
             ORDER BY k.user_id LIMIT 1);
END $$;

-- The key that a person's userName is kept under from now on: the one there is where p_change spells the name as before,
-- so that whoever shares a key with others goes on as they are. A name that is another's raises unique_violation.
CREATE FUNCTION fn.key_to_keep(p_tenant uuid, p_user uuid, p_present text, p_change jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key text := p_change ->> 'user_name_key';
    v_first text := p_change ->> 'first_key';
BEGIN
    IF p_present = v_key OR p_present = v_first THEN
        RETURN p_present;
    END IF;
    IF fn.user_called(p_tenant, v_key, v_first, p_user) IS NOT NULL THEN
        RAISE EXCEPTION 'userName is taken' USING ERRCODE = 'unique_violation', CONSTRAINT = 'uq_users_user_name';
    END IF;
    RETURN v_key;
END $$;

-- The groups that have a displayName, by its keys and in the order of user_called.
CREATE FUNCTION fn.groups_called(p_tenant uuid, p_key text, p_first text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_spelled text := coalesce(p_first, p_key);
    v_groups uuid[] := ARRAY(SELECT id FROM public.groups
                              WHERE tenant_id = p_tenant AND display_name_key = v_spelled ORDER BY id);
BEGIN
    IF v_groups = '{}' AND p_first IS NOT NULL THEN
        v_groups := ARRAY(SELECT id FROM public.groups
                           WHERE tenant_id = p_tenant AND display_name_key = p_key ORDER BY id);
    END IF;
    IF v_groups = '{}' THEN
        v_groups := ARRAY(
            SELECT k.group_id
              FROM public.group_name_keys k
              JOIN public.groups s ON s.tenant_id = k.tenant_id AND s.id = k.group_id AND s.display_name_key = k.first_key
             WHERE k.tenant_id = p_tenant AND k.key = p_key
             ORDER BY k.group_id);
    END IF;
    RETURN v_groups;
END $$;

-- Refuses a displayName that another group has, where names are unique; p_group is the one that is to have it, with the key
-- p_present, and may keep what it has. Raises unique_violation.
CREATE FUNCTION fn.refuse_taken_group_name(p_tenant uuid, p_group uuid, p_present text, p_change jsonb) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key text := p_change ->> 'display_name_key';
    v_first text := p_change ->> 'first_key';
BEGIN
    IF v_key IS NOT NULL AND p_present IS DISTINCT FROM v_key AND (v_first IS NULL OR p_present IS DISTINCT FROM v_first)
       AND array_remove(fn.groups_called(p_tenant, v_key, v_first), p_group) <> '{}' THEN
        RAISE EXCEPTION 'displayName is taken' USING ERRCODE = 'unique_violation';
    END IF;
END $$;
