-- The way back: the judgement written out where it stood before, and then nobody asks the expression.

-- Enters the tenant and judges the token. p_needs is read or write.
CREATE OR REPLACE FUNCTION gate(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS gate_result
LANGUAGE plpgsql AS $$
DECLARE g gate_result;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    SELECT CASE
               WHEN t.revoked_at IS NOT NULL AND t.revoked_because <> 'owner_left' THEN 'revoked'
               WHEN t.expires_at <= statement_timestamp() THEN 'expired'
               WHEN t.revoked_at IS NOT NULL OR (t.owner_id IS NOT NULL AND (
                        o.active AND o.is_admin AND o.epoch = t.epoch) IS NOT TRUE) THEN 'owner'
               WHEN n.status <> 'active' THEN 'suspended'
               WHEN NOT 'scim' = ANY (p.features) THEN 'plan'
               WHEN NOT ('scim' = ANY (t.scopes) OR (p_needs = 'read' AND 'scim:read' = ANY (t.scopes))) THEN 'scope'
               ELSE 'ok'
           END,
           t.label, t.owner_id, n.plan, t.revoked_because, coalesce(n.rate_per_second, p.rate_per_second),
           coalesce(n.rate_burst, p.rate_burst), n.role_rule, n.role_rule_version, n.profile
      INTO g
      FROM tokens t
      JOIN tenants n ON n.id = t.tenant_id
      JOIN plans p ON p.key = n.plan
      LEFT JOIN accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_token AND same_digest(t.digest, p_digest);
    IF NOT FOUND THEN
        g.verdict := 'unknown';
    END IF;
    RETURN g;
END $$;

-- The key of an operator, the product or a tenant's admin, judged for the management API.
CREATE OR REPLACE FUNCTION authenticate(p_kind text, p_tenant uuid, p_id uuid, p_digest bytea)
RETURNS TABLE (label text, owner_id uuid, slug text) LANGUAGE plpgsql AS $$
BEGIN
    IF p_kind IN ('op', 'app') THEN
        RETURN QUERY SELECT k.label, NULL::uuid, NULL::text FROM installation_keys k
          WHERE k.id = p_id AND k.kind = p_kind AND k.revoked_at IS NULL AND same_digest(k.digest, p_digest);
        RETURN;
    END IF;
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT t.label, t.owner_id, n.slug
      FROM tokens t
      JOIN tenants n ON n.id = t.tenant_id
      JOIN accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_id AND 'admin' = ANY (t.scopes) AND t.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > statement_timestamp())
       AND o.active AND o.is_admin AND o.epoch = t.epoch AND n.status = 'active'
       AND same_digest(t.digest, p_digest);
END $$;

DROP FUNCTION token_state, may_use, judge_token;
