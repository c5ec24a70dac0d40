-- Introspection: is this session or token good, at this moment.

-- Is this session or token good? p_client is the key of the product that asks; no row means it may not ask.
CREATE FUNCTION fn.introspect(
    p_client_kind text, p_client uuid, p_client_digest bytea, p_kind text, p_tenant uuid, p_id uuid, p_digest bytea
) RETURNS TABLE (active boolean, account_id uuid, slug text, user_name text, role text, scopes text[],
                 issued_at timestamptz, expires_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.installation_keys k WHERE k.id = p_client AND k.kind = p_client_kind
                   AND k.revoked_at IS NULL AND fn.same_digest(k.digest, p_client_digest)) THEN
        RETURN;
    END IF;
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    IF p_kind = 'ses' THEN
        RETURN QUERY SELECT true, s.account_id, n.slug, a.user_name, a.role, NULL::text[], s.created_at, s.expires_at
          FROM public.sessions s
          JOIN public.accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
          JOIN public.tenants n ON n.id = s.tenant_id
         WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose = 'product' AND fn.same_digest(s.digest, p_digest)
           AND fn.is_good(s, a, n, false);
    ELSE
        -- A plan opens and shuts SCIM; whether a token is good, it does not decide. So hardly one is plainly live, and the rows
        -- in hand are judged.
        RETURN QUERY SELECT true, t.owner_id, n.slug, o.user_name, o.role, t.scopes, t.created_at, t.expires_at
          FROM public.tokens t
          JOIN public.tenants n ON n.id = t.tenant_id
          JOIN public.plans p ON p.key = n.plan
          LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
         WHERE t.tenant_id = p_tenant AND t.id = p_id AND fn.same_digest(t.digest, p_digest)
           AND fn.judge_rows(t, n, p, o, false) IN ('live', 'rotated', 'handed_over', 'takes_only', 'paused', 'plan');
    END IF;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text[],
                            NULL::timestamptz, NULL::timestamptz;
    END IF;
END $$;
