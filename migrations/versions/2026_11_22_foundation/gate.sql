-- The gate: decided from the rows as they are now, on every call, in the order the verdicts are listed.

CREATE TYPE gate_result AS (
    verdict text,           -- ok, unknown, revoked, expired, owner, suspended, plan, scope
    token_label text,
    owner_id uuid,
    plan text,
    reason text,
    rate integer,           -- calls a second, 0 when the limit is off
    burst integer,
    rule jsonb,
    rule_version integer,
    profile text            -- how the tenant's provider is read
);

-- Compares two digests without telling by its duration how much of them agrees: what is compared are their digests.
-- A single expression, so that it becomes part of the query that asks.
CREATE FUNCTION same_digest(p_kept bytea, p_given bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT sha256(p_kept) = sha256(p_given) $$;

-- Enters the tenant and judges the token. p_needs is read or write.
CREATE FUNCTION gate(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS gate_result
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

-- Writes the audit entry of a SCIM call: what the call says of itself, and what the gate found out about its token.
CREATE FUNCTION audit_call(
    p_tenant uuid, g gate_result, p_token uuid, p_call jsonb, p_outcome text, p_status integer, p_detail text,
    p_events text[], p_account uuid, p_target text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_write(
        p_tenant, p_call || jsonb_build_object('actor_kind', 'scim_token', 'actor_id', p_token,
                                               'actor_label', g.token_label, 'owner_id', g.owner_id),
        p_outcome, p_status, p_detail, p_events, p_account, p_target);
END $$;

-- The key of an operator, the product or a tenant's admin, judged for the management API.
CREATE FUNCTION authenticate(p_kind text, p_tenant uuid, p_id uuid, p_digest bytea)
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

-- Is this session or token good? p_client is the key of the product that asks; no row means it may not ask.
CREATE FUNCTION introspect(
    p_client_kind text, p_client uuid, p_client_digest bytea, p_kind text, p_tenant uuid, p_id uuid, p_digest bytea
) RETURNS TABLE (active boolean, account_id uuid, slug text, user_name text, role text, scopes text[],
                 issued_at timestamptz, expires_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM installation_keys k WHERE k.id = p_client AND k.kind = p_client_kind
                   AND k.revoked_at IS NULL AND same_digest(k.digest, p_client_digest)) THEN
        RETURN;
    END IF;
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    IF p_kind = 'ses' THEN
        RETURN QUERY SELECT true, s.account_id, n.slug, a.user_name, a.role, NULL::text[], s.created_at, s.expires_at
          FROM sessions s
          JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
          JOIN tenants n ON n.id = s.tenant_id
         WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose = 'product' AND s.closed_at IS NULL
           AND s.expires_at > statement_timestamp() AND a.active AND a.epoch = s.epoch AND n.status = 'active'
           AND same_digest(s.digest, p_digest);
    ELSE
        RETURN QUERY SELECT true, t.owner_id, n.slug, a.user_name, a.role, t.scopes, t.created_at, t.expires_at
          FROM tokens t
          LEFT JOIN accounts a ON a.tenant_id = t.tenant_id AND a.id = t.owner_id
          JOIN tenants n ON n.id = t.tenant_id
         WHERE t.tenant_id = p_tenant AND t.id = p_id AND t.revoked_at IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > statement_timestamp())
           AND (t.owner_id IS NULL OR (a.active AND a.epoch = t.epoch AND (
                    a.is_admin OR NOT t.scopes && ARRAY['scim', 'scim:read', 'admin']))) AND n.status = 'active'
           AND same_digest(t.digest, p_digest);
    END IF;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text[],
                            NULL::timestamptz, NULL::timestamptz;
    END IF;
END $$;

-- Who is signed in to the console with this session? No row means that it opens nothing.
CREATE FUNCTION console_session(p_tenant uuid, p_id uuid, p_digest bytea)
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
