-- The tenants of a fleet.

-- [tenants]
INSERT INTO tenants (slug, name, plan, role_rule, status, paused_until, lapsed_at, offboarding_from, external_id)
SELECT 'small-' || n, 'Small Number ' || n, 'bench', $2::jsonb, CASE WHEN n % 90 = 7 THEN 'suspended' ELSE 'active' END,
       CASE WHEN n % 170 = 9 THEN now() + interval '1 hour' END, CASE WHEN n % 40 = 11 THEN now() - interval '1 day' END,
       CASE WHEN n % 40 = 11 THEN now() + interval '9 days' END, 'crm-' || n
  FROM generate_series(1, $1::integer) n

-- [people]
WITH people AS MATERIALIZED (
    SELECT t.id AS tenant_id, uuidv7() AS id, 'person-' || n || '@' || t.slug || '.example' AS user_name, n
      FROM tenants t, generate_series(1, 5) n WHERE t.slug LIKE 'small-%'),
accounts AS (
    INSERT INTO accounts (tenant_id, id, user_name, active, role, is_admin, role_state)
    SELECT tenant_id, id, user_name, true, CASE n WHEN 1 THEN 'admin' ELSE 'member' END, n = 1, $1::jsonb FROM people)
INSERT INTO users (tenant_id, id, account_id, user_name_key, active, document)
SELECT tenant_id, id, id, user_name, true, jsonb_build_object('userName', user_name, 'active', true) FROM people

-- [tokens]
INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by, expires_at, last_used_at)
SELECT a.tenant_id, gen_random_uuid(), 'identity provider', '{scim}', a.id, 1, sha256(uuid_send(a.id)), 'bench',
       now() + interval '90 days', now() - interval '1 minute'
  FROM accounts a JOIN tenants t ON t.id = a.tenant_id WHERE t.slug LIKE 'small-%' AND a.is_admin

-- [entries]
INSERT INTO audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_id, actor_label, outcome, status, events,
                           method, path, source)
SELECT k.tenant_id, e.at, uuidv7(e.at - now()), md5(k.id::text || n), 'scim.users.list', 'scim_token', k.id, k.label,
       CASE WHEN n % 20 = 0 THEN 'refused' ELSE 'done' END, CASE WHEN n % 20 = 0 THEN 400 ELSE 200 END, '{}', 'GET',
       '/scim/v2/Users', '198.51.100.9'
  FROM generate_series(1, $1::integer) n
 CROSS JOIN LATERAL (SELECT now() - interval '23 hours' * (n::float8 / $1) AS at) e
  JOIN tokens k ON k.tenant_id IN (SELECT id FROM tenants WHERE slug LIKE 'small-%')
 ORDER BY e.at

-- [alerts]
INSERT INTO alerts (tenant_id, kind, subject, stage, facts, opened_at)
SELECT t.id, kind, '', '1', jsonb_build_object('user_name', 'ada', 'refused', 40), now() - interval '3 hours'
  FROM tenants t, unnest(ARRAY['only_admin', 'failures']) kind
 WHERE t.slug LIKE 'small-%' AND hashtext(t.slug || kind) % 4 = 0
