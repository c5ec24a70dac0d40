-- A past for a company that has people: what has happened, and what is open now.

-- [partitions]
-- An installation that has run for so long has partitions for these months too.
DO $do$
DECLARE
    v_month timestamptz := date_trunc('month', now() - interval '40 days');
BEGIN
    WHILE v_month < date_trunc('month', now()) LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS audit_entries%s PARTITION OF audit_entries FOR VALUES FROM (%L) TO (%L)',
                       to_char(v_month, '_YYYY_MM'), v_month, v_month + interval '1 month');
        EXECUTE format('CREATE TABLE IF NOT EXISTS audit_payloads%s PARTITION OF audit_payloads FOR VALUES FROM (%L) TO (%L)',
                       to_char(v_month, '_YYYY_MM'), v_month, v_month + interval '1 month');
        v_month := v_month + interval '1 month';
    END LOOP;
END $do$

-- [numbers]
CREATE TEMP TABLE numbered (id uuid PRIMARY KEY, user_name text, n integer UNIQUE) ON COMMIT DROP

-- [numbered]
INSERT INTO numbered
SELECT id, user_name, (row_number() OVER (ORDER BY id) - 1)::integer AS n FROM accounts
 WHERE tenant_id = $1 AND user_name <> 'ada@bench.example'

-- [leavers]
WITH gone AS MATERIALIZED (SELECT id FROM numbered WHERE n % $2 = 3),
accounts AS (
    UPDATE accounts SET active = false, epoch = epoch + 1, deactivated_at = now(), deactivated_because = 'bench'
     WHERE tenant_id = $1 AND id IN (SELECT id FROM gone)),
sessions AS (
    UPDATE sessions SET closed_at = now(), closed_because = 'person_left'
     WHERE tenant_id = $1 AND account_id IN (SELECT id FROM gone))
UPDATE users SET active = false, document = document || '{"active": false}'
 WHERE tenant_id = $1 AND id IN (SELECT id FROM gone)

-- [entries]
-- As they come of a provider's everyday calls and an admin's: most are reads, three in a hundred are refused. One
-- person has one in two hundred of them.
WITH made AS MATERIALIZED (
    SELECT m.*, uuidv7(m.at - now()) AS id, p.id AS person, p.user_name
      FROM (SELECT n, now() - make_interval(days => $6) * (1 - n::float8 / $4) AS at,
                   (hashint4(n) & 2147483647) % 1000 AS lot,
                   CASE WHEN n % 200 = 0 THEN 0 ELSE (hashint4(n + 70000000) & 2147483647) % $5 END AS whose
              FROM generate_series($2::integer, $3::integer - 1) n) m
      JOIN numbered p ON p.n = m.whose
     ORDER BY m.n),
entries AS (
    INSERT INTO audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_id, actor_label, account_id,
                               target, outcome, status, detail, events, method, path, source, payload_digest)
    SELECT $1, at, e.id, md5(e.id::text), action, kind, token.id, token.label,
           CASE WHEN about_somebody THEN person END, CASE WHEN about_somebody THEN person::text END, outcome,
           CASE outcome WHEN 'refused' THEN 400 ELSE 200 END,
           CASE outcome WHEN 'refused' THEN 'emails: an address has to have an @; correct it at the provider.' END,
           events, method, path, '198.51.100.7', CASE WHEN method <> 'GET' THEN sha256(uuid_send(e.id)) END
      FROM (SELECT m.*, a.* FROM made m CROSS JOIN LATERAL (
            SELECT * FROM (VALUES
              (350, 'scim.users.list', 'scim_token', false, 'done', '{}'::text[], 'GET', '/scim/v2/Users'),
              (500, 'scim.users.read', 'scim_token', true, 'done', '{}', 'GET', '/scim/v2/Users/' || m.person),
              (800, 'scim.users.patch', 'scim_token', true, 'done', '{user.updated}', 'PATCH', '/scim/v2/Users/' || m.person),
              (860, 'scim.groups.patch', 'scim_token', false, 'done', '{group.changed}', 'PATCH', '/scim/v2/Groups/' || m.id),
              (900, 'scim.users.create', 'scim_token', true, 'done', '{user.provisioned}', 'POST', '/scim/v2/Users'),
              (930, 'scim.users.create', 'scim_token', false, 'refused', '{}', 'POST', '/scim/v2/Users'),
              (950, 'scim.users.patch', 'scim_token', true, 'done', '{user.deactivated}', 'PATCH', '/scim/v2/Users/' || m.person),
              (965, 'user.role_changed', 'person', true, 'done', '{user.role_changed}', NULL, NULL),
              (980, 'console.signed_in', 'person', true, 'done', '{console.signed_in}', NULL, NULL),
              (988, 'token.issued', 'person', false, 'done', '{token.issued}', NULL, NULL),
              (996, 'destination.tested', 'person', false, 'done', '{destination.tested}', NULL, NULL),
              (1000, 'role_rule.changed', 'person', false, 'done', '{role_rule.changed}', NULL, NULL))
              AS v (below, action, kind, about_somebody, outcome, events, method, path)
             WHERE m.lot < v.below ORDER BY v.below LIMIT 1) a) e
     CROSS JOIN (SELECT id, label FROM tokens WHERE tenant_id = $1 ORDER BY id LIMIT 1) token
     ORDER BY at
    RETURNING tenant_id, at, id, method, account_id)
INSERT INTO audit_payloads (tenant_id, at, entry_id, payload)
SELECT tenant_id, at, id, jsonb_build_object(
           'schemas', jsonb_build_array('urn:ietf:params:scim:api:messages:2.0:PatchOp'),
           'Operations', jsonb_build_array(
               jsonb_build_object('op', 'replace', 'path', 'title', 'value', 'Lead of ' || id),
               jsonb_build_object('op', 'replace', 'path', 'phoneNumbers[type eq "work"].value', 'value', '+44 20 7946'),
               jsonb_build_object('op', 'add', 'path', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department',
                                  'value', 'Site Reliability')))
  FROM entries WHERE method IN ('PATCH', 'POST')

-- [receipts]
INSERT INTO receipts (tenant_id, id, account_id, epoch, reason, request_id, transaction_id, arrived_at, closed_at, closed,
                      settled_at, purged, destinations, completed_at, statement)
SELECT $1, uuidv7(l.at - now()), l.id, 1, 'left', md5(l.id::text), l.n::text, l.at, l.at + interval '40 ms',
       '{"sessions": 1, "tokens": 1, "passkeys": 0, "external": 2, "passwords": 0}', l.at + interval '2 s', '{}',
       jsonb_build_array(told.it), l.at + interval '3 s',
       'eyJhbGciOiJQUzI1NiJ9.' || translate(encode(convert_to(jsonb_build_object(
           'iss', 'https://rollcall.bench.example', 'iat', 1, 'jti', l.id, 'sub', l.id,
           'tenant', jsonb_build_object('id', $1, 'slug', 'bench'),
           'person', jsonb_build_object('id', l.id, 'user_name', l.user_name), 'reason', 'left',
           'request_id', md5(l.id::text), 'transaction_id', l.n, 'arrived_at', at.text, 'closed_at', at.text,
           'completed_at', at.text, 'closed', jsonb_build_object('bound', 'commit', 'met', true, 'seconds', 0.04,
               'credentials', jsonb_build_array(jsonb_build_object('class', 'sessions', 'count', 1, 'at', at.text))),
           'destinations', jsonb_build_object('bound_seconds', 300, 'met', true, 'each', jsonb_build_array(told.it)))::text,
           'UTF8'), 'base64'), E'+/=\n', '-_') || '.' || repeat(md5(l.id::text), 11)
  FROM (SELECT n.*, now() - make_interval(days => $2) * random() AS at
          FROM numbered n JOIN accounts a ON a.tenant_id = $1 AND a.id = n.id WHERE NOT a.active) l
 CROSS JOIN LATERAL (SELECT to_char(l.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS text) at
 CROSS JOIN LATERAL (SELECT jsonb_build_object('id', l.id, 'kind', 'webhook', 'label', 'People data', 'state', 'delivered',
                                               'at', at.text, 'attempts', 1, 'seconds', 1.2, 'met', true) AS it) told
 ORDER BY l.at

-- [cases]
INSERT INTO conflict_cases (tenant_id, kind, user_name_key, user_name, user_id, roles, names, detail, stored, closed_at,
                            closed_because)
SELECT $1, CASE WHEN n % 3 = 0 THEN 'conflict' ELSE 'unknown_role' END, user_name, user_name, id, '{guest,member}',
       '[{"name": "dart-guests", "source": "groups", "reads": "guest"}, {"name": "dart-members", "source": "groups", "reads": "member"}]',
       'guest and member contradict each other', false, CASE WHEN n >= $2 THEN now() END, CASE WHEN n >= $2 THEN 'gone' END
  FROM numbered WHERE n < 4 * $2

-- [tokens]
-- One is owned by somebody who has left.
INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by, created_at, expires_at, revoked_at,
                    revoked_because, last_used_at)
SELECT $1, gen_random_uuid(), 'token ' || n, '{scim}'::text[], a.id, 1, sha256(int4send(n)), 'bench',
       now() - make_interval(days => 39, mins => n), now() + make_interval(days => n + 1),
       CASE WHEN n > 8 THEN now() END, CASE WHEN n > 8 THEN 'rotated' END, now() - make_interval(mins => n)
  FROM generate_series(1, $2::integer) n, accounts a WHERE a.tenant_id = $1 AND a.user_name = 'ada@bench.example'
 UNION ALL
SELECT $1, gen_random_uuid(), 'left behind', '{scim}', p.id, 1, '\x00'::bytea, 'bench', now() - interval '39 days',
       now() + interval '30 days', NULL::timestamptz, NULL::text, NULL::timestamptz FROM numbered p WHERE p.n = 3

-- [destinations]
INSERT INTO destinations (tenant_id, kind, url, label, topics, failing_since)
SELECT $1, 'webhook', 'https://hooks.bench.example/' || n, 'Receiver ' || n, '{}', CASE WHEN n = 3 THEN now() END
  FROM generate_series(1, $2::integer) n

-- [messages]
INSERT INTO outbox (tenant_id, id, topic, account_id, payload, request_id, created_at, next_try_at, fanned_out_at, done_at)
SELECT $1, uuidv7(m.at - now()), 'user.updated', p.id, jsonb_build_object('id', p.id, 'user_name', p.user_name),
       md5(m.n::text), m.at, m.at, m.at, m.at
  FROM (SELECT n, now() - make_interval(days => $3) * (1 - n::float8 / $2) AS at
          FROM generate_series(0, $2::integer - 1) n) m
  JOIN numbered p ON p.n = m.n % (SELECT count(*) FROM numbered)
 ORDER BY m.at

-- [deliveries]
INSERT INTO deliveries (tenant_id, id, destination_tenant_id, destination_id, kind, label, message_id, topic, account_id,
                        line_id, state, attempts, created_at, next_try_at, give_up_at, first_tried_at, ended_at,
                        last_status, last_error, took_ms)
SELECT $1, uuidv7(m.created_at - now()), $1, d.id, d.kind, d.label, m.id, m.topic, m.account_id, m.account_id, d.state, 1,
       m.created_at, m.created_at, m.created_at + interval '3 days', m.created_at,
       CASE WHEN d.state <> 'pending' THEN m.created_at END, CASE d.state WHEN 'delivered' THEN 200 ELSE 503 END,
       CASE WHEN d.state <> 'delivered' THEN 'it answered 503' END, 31
  FROM outbox m
 CROSS JOIN LATERAL (
       SELECT d.*, CASE WHEN d.place = 3 THEN CASE WHEN m.created_at > now() - make_interval(days => $2) / 100 THEN 'pending'
                                                   ELSE 'dead' END ELSE 'delivered' END AS state
         FROM (SELECT d.*, row_number() OVER (ORDER BY d.label) AS place FROM destinations d WHERE d.tenant_id = $1) d
        WHERE d.place <= 2 OR d.place = 3 AND left(md5(m.id::text), 1) = '0') d
 WHERE m.tenant_id = $1
 ORDER BY m.created_at

-- [alerts]
INSERT INTO alerts (tenant_id, kind, subject, stage, facts, opened_at, closed_at)
SELECT a.tenant_id, 'token_ends', t.id::text, a.n::text, jsonb_build_object('label', t.label, 'expires_at', t.expires_at),
       now() - make_interval(hours => a.n), CASE WHEN a.n > 12 THEN now() END
  FROM (SELECT $1::uuid AS tenant_id, n FROM generate_series(1, $2::integer) n) a
  JOIN (SELECT *, row_number() OVER (ORDER BY created_at DESC) AS place FROM tokens
         WHERE tenant_id = $1 AND revoked_at IS NULL AND expires_at IS NOT NULL) t
    ON t.place = 1 + a.n % 5

-- [mass_change]
INSERT INTO mass_changes (tenant_id, began_at, noticed_at, count, threshold)
VALUES ($1, now() - interval '20 minutes', now() - interval '15 minutes', 140, 100)

-- [seats]
INSERT INTO seat_usage (tenant_id, month, peak, active, person_seconds, counted_from, counted_at)
SELECT $1, (date_trunc('month', now()) - make_interval(months => back))::date, $2::bigint - back * 100, $2::bigint - back * 150,
       ($2::bigint - back * 200) * 86400 * 30, date_trunc('month', now()) - make_interval(months => back),
       date_trunc('month', now()) - make_interval(months => back - 1)
  FROM generate_series(1, 14) AS back ON CONFLICT DO NOTHING

-- [marks]
INSERT INTO provider_marks (tenant_id, mark, first_seen, last_seen, times)
VALUES ($1, 'user_agent:okta', now() - interval '40 days', now(), 100000)

-- [ways_in]
-- An admin and the busiest of the people have many ways in; links for others are live.
WITH whose AS (
    SELECT id FROM numbered WHERE n = 0
     UNION ALL SELECT id FROM accounts WHERE tenant_id = $1 AND user_name = 'ada@bench.example'),
sessions AS (
    INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, purpose, expires_at)
    SELECT $1, gen_random_uuid(), w.id, 1, sha256(int4send(n)), CASE WHEN n % 3 = 0 THEN 'console' ELSE 'product' END,
           now() + interval '8 hours' FROM whose w, generate_series(1, 200) n),
tokens AS (
    INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by)
    SELECT $1, gen_random_uuid(), 'script ' || n, '{repo:read}', w.id, 1, sha256(int4send(n)), 'bench'
      FROM whose w, generate_series(1, 20) n),
credentials AS (
    INSERT INTO external_credentials (tenant_id, id, account_id, epoch, kind, name, label)
    SELECT $1, gen_random_uuid(), w.id, 1, 'ssh_key', 'SHA256:' || w.id || n, 'laptop ' || n
      FROM whose w, generate_series(1, 60) n),
passwords AS (
    INSERT INTO passwords (tenant_id, account_id, epoch, hash) SELECT $1, id, 1, 'no hash' FROM whose),
links AS (
    INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, purpose, intent, label, expires_at)
    SELECT $1, gen_random_uuid(), a.id, 1, sha256(int4send(n)), 'contact_link', 'setup', 'consultant ' || n,
           now() + interval '6 days'
      FROM accounts a, generate_series(1, 5) n WHERE a.tenant_id = $1 AND a.user_name = 'ada@bench.example')
INSERT INTO passkeys (tenant_id, id, account_id, epoch, credential_id, public_key, sign_count, transports, aaguid, label)
SELECT $1, gen_random_uuid(), w.id, 1, sha256(uuid_send(w.id) || int4send(n)), '\x00', 1, '{internal}', gen_random_uuid(),
       'phone ' || n FROM whose w, generate_series(1, 6) n
