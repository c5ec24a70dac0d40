-- People of several tenants at once, for files that name thousands. Whoever calls sees one tenant at a time, by row-level
-- security: these turn to one after the other.

-- Who is there of those that a file names. p_asked is a list of {tenant, names, ids}: keys of userNames, and externalIds.
CREATE FUNCTION fn.people_named(p_asked jsonb) RETURNS TABLE (
    tenant uuid, account uuid, outside_id text, is_active boolean, state jsonb, person jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_asked jsonb;
    v_tenant uuid;
    v_names text[];
    v_ids text[];
BEGIN
    FOR v_asked IN SELECT jsonb_array_elements(p_asked) LOOP
        v_tenant := v_asked ->> 'tenant';
        v_names := ARRAY(SELECT jsonb_array_elements_text(v_asked -> 'names'));
        v_ids := ARRAY(SELECT jsonb_array_elements_text(v_asked -> 'ids'));
        PERFORM set_config('rollcall.tenant', v_tenant::text, true);
        RETURN QUERY
        SELECT a.tenant_id, a.id, u.external_id, a.active, a.role_state, u.document
          FROM public.users u JOIN public.accounts a ON a.tenant_id = u.tenant_id AND a.id = u.account_id
         WHERE u.tenant_id = v_tenant AND u.id IN (
               SELECT s.id FROM public.users s WHERE s.tenant_id = v_tenant AND s.user_name_key = ANY (v_names)
               UNION ALL
               SELECT k.user_id FROM public.user_name_keys k WHERE k.tenant_id = v_tenant AND k.key = ANY (v_names)
               UNION ALL
               SELECT s.id FROM public.users s WHERE s.tenant_id = v_tenant AND s.external_id = ANY (v_ids))
         ORDER BY a.id;
    END LOOP;
END $$;

-- The deputies of tenants who could be named anew: active, and no admin.
CREATE FUNCTION fn.deputies_of(p_tenants uuid[]) RETURNS TABLE (tenant uuid, user_name text)
LANGUAGE plpgsql AS $$
DECLARE v_tenant uuid;
BEGIN
    FOREACH v_tenant IN ARRAY p_tenants LOOP
        PERFORM set_config('rollcall.tenant', v_tenant::text, true);
        RETURN QUERY
        SELECT a.tenant_id, u.document ->> 'userName'
          FROM public.tenants n JOIN public.accounts a ON a.tenant_id = n.id AND a.id = n.deputy_id
          JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
         WHERE n.id = v_tenant AND a.active AND NOT a.is_admin;
    END LOOP;
END $$;

-- The active admins of tenants, in the order in which they came.
CREATE FUNCTION fn.admins_of(p_tenants uuid[]) RETURNS TABLE (tenant uuid, role_key text, state jsonb, person jsonb)
LANGUAGE plpgsql AS $$
DECLARE v_tenant uuid;
BEGIN
    FOREACH v_tenant IN ARRAY p_tenants LOOP
        PERFORM set_config('rollcall.tenant', v_tenant::text, true);
        RETURN QUERY
        SELECT a.tenant_id, a.role, a.role_state, u.document
          FROM public.accounts a JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
         WHERE a.tenant_id = v_tenant AND a.active AND a.is_admin ORDER BY a.id;
    END LOOP;
END $$;
