-- How a token stands: one expression for the gate, for the keys of the management API, and for every list.

-- Judges a token by its row, its tenant, the tenant's plan and its owner, in the order in which a caller is told.
--   revoked          ended by hand
--   expired          its time is over, or it was replaced and the overlap is over
--   owner_inactive   its owner may not come in, or was out since it was issued
--   owner_not_admin  its owner is no longer an admin; only tokens that open Rollcall itself need one
--   suspended        its tenant is
--   plan             it is for SCIM, and the plan does not include that
--   rotated          it works, and has been replaced: until it expires
--   live             it works
-- A single expression without side effects, so that it becomes part of the query that asks.
CREATE FUNCTION judge_token(t tokens, n tenants, p plans, o accounts) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
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

-- The same for one token by its key, as lists ask; NULL if the tenant has no such token.
CREATE FUNCTION token_state(p_tenant uuid, p_token uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT judge_token(t, n, p, o)
     FROM tokens t
     JOIN tenants n ON n.id = t.tenant_id
     JOIN plans p ON p.key = n.plan
     LEFT JOIN accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
    WHERE t.tenant_id = p_tenant AND t.id = p_token $$;

-- Whether a token's scopes let it read, or write, over SCIM. p_needs is read or write.
CREATE FUNCTION may_use(p_scopes text[], p_needs text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT 'scim' = ANY (p_scopes) OR (p_needs = 'read' AND 'scim:read' = ANY (p_scopes)) $$;

-- Enters the tenant and judges the token. p_needs is read or write.
CREATE OR REPLACE FUNCTION gate(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS gate_result
LANGUAGE plpgsql AS $$
DECLARE g gate_result;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    SELECT CASE judge_token(t, n, p, o)
               WHEN 'live' THEN CASE WHEN may_use(t.scopes, p_needs) THEN 'ok' ELSE 'scope' END
               WHEN 'rotated' THEN CASE WHEN may_use(t.scopes, p_needs) THEN 'ok' ELSE 'scope' END
               WHEN 'plan' THEN 'plan'
               WHEN 'suspended' THEN 'suspended'
               WHEN 'expired' THEN 'expired'
               WHEN 'revoked' THEN 'revoked'
               ELSE 'owner'
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
      JOIN plans p ON p.key = n.plan
      JOIN accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_id AND 'admin' = ANY (t.scopes)
       AND judge_token(t, n, p, o) IN ('live', 'rotated') AND same_digest(t.digest, p_digest);
END $$;
