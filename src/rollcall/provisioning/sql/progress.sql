-- How far a connection to an identity provider has come: what has been seen of it since its newest token, in one statement,
-- as pages ask for it every few seconds.

-- One row for each of called, authenticated, looked_up, created, role, deactivated, receipt that has been seen, with when it was
-- first, of whom, and what is to be said of it (of a role, its label); one for refused if that was the latest call, with why;
-- and one that is called since, if there is a token for SCIM: the newest that is open, or else that was made. Looked at are the first p_first calls since then and the latest
-- p_latest ones, whatever the tenant's size.
CREATE FUNCTION fn.connection_progress(p_tenant uuid, p_first integer, p_latest integer)
RETURNS TABLE (seen text, at timestamptz, account_id uuid, user_name text, said text)
LANGUAGE sql STABLE SET plan_cache_mode = force_custom_plan AS $$
    WITH token AS MATERIALIZED (
        SELECT k.created_at AS since
          FROM public.tokens k
         WHERE k.tenant_id = p_tenant AND k.scopes && ARRAY['scim', 'scim:read']
         ORDER BY k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) DESC, k.created_at DESC
         LIMIT 1),
    calls AS MATERIALIZED (
        SELECT DISTINCT c.*
          FROM token t
         CROSS JOIN LATERAL (
            (SELECT e.at, e.id, e.outcome, e.action, e.events, e.account_id, e.actor_label, e.source, e.detail
               FROM public.audit_entries e
              WHERE e.tenant_id = p_tenant AND e.at >= t.since AND e.at <= statement_timestamp() + interval '1 minute'
                AND e.actor_kind = 'scim_token'
              ORDER BY e.at LIMIT p_first)
            UNION ALL
            (SELECT e.at, e.id, e.outcome, e.action, e.events, e.account_id, e.actor_label, e.source, e.detail
               FROM public.audit_entries e
              WHERE e.tenant_id = p_tenant AND e.at >= t.since AND e.at <= statement_timestamp() + interval '1 minute'
                AND e.actor_kind = 'scim_token'
              ORDER BY e.at DESC LIMIT p_latest)) c),
    found AS (
        SELECT 'since' AS seen, since AS at, NULL::uuid AS account_id, NULL::text AS said FROM token
         UNION ALL (SELECT 'called', c.at, NULL, c.source FROM calls c ORDER BY c.at LIMIT 1)
         UNION ALL (SELECT 'authenticated', c.at, NULL, c.actor_label FROM calls c
                     WHERE c.outcome <> 'refused' ORDER BY c.at LIMIT 1)
         UNION ALL (SELECT 'looked_up', c.at, NULL, NULL FROM calls c
                     WHERE c.outcome <> 'refused'
                       AND c.action IN ('scim.users.list', 'scim.users.search', 'scim.search', 'scim.users.read')
                     ORDER BY c.at LIMIT 1)
         UNION ALL (SELECT 'created', c.at, c.account_id, NULL FROM calls c
                     WHERE c.outcome <> 'refused' AND 'user.provisioned' = ANY (c.events) ORDER BY c.at LIMIT 1)
         UNION ALL (SELECT 'deactivated', c.at, c.account_id, NULL FROM calls c
                     WHERE c.outcome <> 'refused' AND 'user.deactivated' = ANY (c.events) ORDER BY c.at LIMIT 1)
         UNION ALL (SELECT 'role', a.created_at, a.id, a.role FROM public.accounts a
                     WHERE a.tenant_id = p_tenant AND a.role_state ->> 'origin' = 'provider'
                       AND a.id IN (SELECT c.account_id FROM calls c WHERE c.outcome = 'done')
                     ORDER BY a.created_at LIMIT 1)
         UNION ALL (SELECT 'receipt', r.settled_at, r.account_id, NULL FROM token t CROSS JOIN LATERAL (
                        SELECT r.settled_at, r.account_id FROM public.receipts r
                         WHERE r.tenant_id = p_tenant AND r.closed_at >= t.since ORDER BY r.closed_at LIMIT 1) r)
         UNION ALL (SELECT 'refused', l.at, l.account_id, l.detail
                      FROM (SELECT * FROM calls c ORDER BY c.at DESC, c.id DESC LIMIT 1) l WHERE l.outcome = 'refused'))
    SELECT f.seen, f.at, f.account_id, a.user_name,
           CASE f.seen WHEN 'role' THEN coalesce(n.role_rule #>> ARRAY['roles', f.said, 'label'], f.said) ELSE f.said END
      FROM found f
      JOIN public.tenants n ON n.id = p_tenant
      LEFT JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = f.account_id
$$;

-- The provider's calls of so many days from p_since on, in UTC, and how many of those were refused: of each day its first p_most.
CREATE FUNCTION fn.calls_by_day(p_tenant uuid, p_since date, p_days integer, p_most integer)
RETURNS TABLE (day date, calls bigint, refused bigint) LANGUAGE sql STABLE AS $$
    SELECT p_since + d, c.calls, c.refused
      FROM generate_series(0, p_days - 1) d
     CROSS JOIN LATERAL (
        SELECT count(*) AS calls, count(*) FILTER (WHERE e.outcome = 'refused') AS refused
          FROM (SELECT a.outcome FROM public.audit_entries a
                 WHERE a.tenant_id = p_tenant AND a.at >= (p_since + d)::timestamp AT TIME ZONE 'UTC'
                   AND a.at < (p_since + d + 1)::timestamp AT TIME ZONE 'UTC' AND a.actor_kind = 'scim_token'
                 ORDER BY a.at LIMIT p_most) e) c
$$;
