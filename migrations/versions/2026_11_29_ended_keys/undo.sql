DROP FUNCTION still_good(text, uuid, uuid, bytea);

CREATE OR REPLACE FUNCTION judge_token(t tokens, n tenants, p plans, o accounts) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE
    WHEN t.revoked_at IS NOT NULL AND t.revoked_because <> 'owner_left' THEN 'revoked'
    WHEN t.expires_at <= statement_timestamp() THEN 'expired'
    WHEN t.revoked_at IS NOT NULL THEN 'owner_inactive'
    WHEN t.owner_id IS NOT NULL AND (o.active AND o.epoch = t.epoch) IS NOT TRUE THEN 'owner_inactive'
    WHEN t.owner_id IS NOT NULL AND NOT o.is_admin AND t.scopes && ARRAY['scim', 'scim:read', 'admin']
        THEN 'owner_not_admin'
    WHEN n.status <> 'active' THEN 'suspended'
    WHEN t.scopes && ARRAY['scim', 'scim:read'] AND NOT 'scim' = ANY (p.features) THEN 'plan'
    WHEN t.replaced_by IS NOT NULL THEN 'rotated'
    ELSE 'live'
END $$;

CREATE OR REPLACE FUNCTION console_session(p_tenant uuid, p_id uuid, p_digest bytea)
RETURNS TABLE (account_id uuid, slug text, tenant_name text, user_name text, role text, opened_at timestamptz,
               expires_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT s.account_id, n.slug, n.name, a.user_name,
                        coalesce(n.role_rule #>> ARRAY['roles', a.role, 'label'], a.role), s.created_at, s.expires_at
      FROM sessions s
      JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
      JOIN tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose = 'console' AND s.closed_at IS NULL
       AND s.expires_at > statement_timestamp() AND a.active AND a.epoch = s.epoch AND n.status = 'active'
       AND same_digest(s.digest, p_digest);
END $$;

DROP FUNCTION good_before(uuid, boolean);
DROP FUNCTION noted_before(uuid);
DROP TRIGGER note_before ON sessions;
DROP TRIGGER note_before ON tokens;
DROP TRIGGER note_before ON accounts;
DROP FUNCTION note_before();
