-- Sessions of the console.

CREATE FUNCTION fn.console_session(p_tenant uuid, p_id uuid, p_digest bytea)
RETURNS TABLE (account_id uuid, slug text, tenant_name text, user_name text, role text, opened_at timestamptz,
               expires_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT s.account_id, n.slug, n.name, a.user_name,
                        coalesce(n.role_rule #>> ARRAY['roles', a.role, 'label'], a.role), s.created_at, s.expires_at
      FROM public.sessions s
      JOIN public.accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
      JOIN public.tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose = 'console' AND fn.good_before(s.id, s.closed_at IS NULL)
       AND s.expires_at > clock_timestamp() AND a.active AND a.epoch = s.epoch AND n.status = 'active'
       AND fn.same_digest(s.digest, p_digest);
END $$;
