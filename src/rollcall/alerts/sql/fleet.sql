-- The fleet: all tenants by who needs attention, a page of them.

-- What is open of each tenant for which anything is: alerts and mass changes by what they are about, and how many of them are
-- grave; contradicting roles.
CREATE FUNCTION fn.open_concerns(p_grave text[])
RETURNS TABLE (tenant_id uuid, grave bigint, open bigint, conflicts bigint, kinds text[]) LANGUAGE sql STABLE AS $$
    SELECT coalesce(a.tenant_id, c.tenant_id), coalesce(a.grave, 0), coalesce(a.open, 0), coalesce(c.number, 0),
           coalesce(a.kinds, '{}')
      FROM (SELECT o.tenant_id, count(*) FILTER (WHERE o.kind = ANY (p_grave)) AS grave, count(*) AS open,
                   array_agg(DISTINCT o.kind) AS kinds
              FROM (SELECT DISTINCT tenant_id, kind, subject FROM public.alerts WHERE closed_at IS NULL
                    UNION ALL SELECT tenant_id, 'mass_change', '' FROM public.mass_changes WHERE released_at IS NULL) o
             GROUP BY o.tenant_id) a
      FULL JOIN (SELECT tenant_id, count(*) AS number FROM public.conflict_cases
                  WHERE closed_at IS NULL AND kind = 'conflict' GROUP BY tenant_id) c ON c.tenant_id = a.tenant_id
$$;

-- Up to p_limit tenants after the one of p_after_rank and p_after_slug: who needs attention first, or by slug if p_by_name. The
-- rank is 0 where nothing is open, and lower the sooner somebody should look. p_show is attention, suspended, paused, lapsed or a
-- kind of alert that is open; p_plan a plan's key; what is empty filters nothing. matched counts all that fit. Of each that is shown
-- alone is asked: when its provider called last, how many of its last calls within a day were refused (of 200 entries at most),
-- when a token ends first, its seats.
CREATE FUNCTION fn.fleet(
    p_search text, p_show text, p_plan text, p_grave text[], p_by_name boolean,
    p_after_rank integer, p_after_slug text, p_limit integer
) RETURNS TABLE (
    matched bigint, rank integer, id uuid, slug text, name text, plan text, status text, profile text, paused boolean, lapse text,
    grave bigint, open bigint, conflicts bigint, kinds text[], last_call timestamptz, token_ends timestamptz, calls bigint,
    refused bigint, allowed integer, used bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
    WITH found AS MATERIALIZED (
        SELECT n.id, n.slug, coalesce(o.grave, 0) AS grave, coalesce(o.open, 0) AS open,
               coalesce(o.conflicts, 0) AS conflicts, coalesce(o.kinds, '{}') AS kinds,
               CASE WHEN p_by_name OR o.tenant_id IS NULL THEN 0
                    ELSE -(least(o.grave, 99) * 10000 + least(o.open, 99) * 100 + least(o.conflicts, 99)) END::integer AS rank
          FROM public.tenants n
          LEFT JOIN fn.open_concerns(p_grave) o ON o.tenant_id = n.id
         WHERE (p_plan = '' OR n.plan = p_plan)
           AND (p_search = '' OR strpos(lower(n.slug || E'\n' || n.name || E'\n' || coalesce(n.external_id, '') || E'\n'
                                              || coalesce(n.customer, '')), lower(p_search)) > 0)
           AND CASE p_show WHEN '' THEN true WHEN 'attention' THEN o.tenant_id IS NOT NULL
                           WHEN 'suspended' THEN n.status = 'suspended' WHEN 'paused' THEN n.paused_until > clock_timestamp()
                           WHEN 'lapsed' THEN n.lapsed_at IS NOT NULL ELSE p_show = ANY (o.kinds) END),
    shown AS MATERIALIZED (
        SELECT f.* FROM found f WHERE p_after_slug = '' OR (f.rank, f.slug) > (p_after_rank, p_after_slug)
         ORDER BY f.rank, f.slug LIMIT p_limit)
    SELECT (SELECT count(*) FROM found), s.rank, n.id, n.slug, n.name, p.name, n.status, n.profile,
           coalesce(n.paused_until > clock_timestamp(), false), fn.lapse_state(n, p), s.grave, s.open, s.conflicts, s.kinds,
           t.last_call, t.ends, c.calls, c.refused, fn.seats_allowed(n, p), fn.seats_used(n.id)
      FROM shown s
      JOIN public.tenants n ON n.id = s.id
      JOIN public.plans p ON p.key = n.plan
     CROSS JOIN LATERAL (
        SELECT max(k.last_used_at) AS last_call,
               min(k.expires_at) FILTER (WHERE k.expires_at > clock_timestamp() AND k.replaced_by IS NULL) AS ends
          FROM public.tokens k
         WHERE k.tenant_id = n.id AND k.revoked_at IS NULL AND k.scopes && ARRAY['scim', 'scim:read']) t
     CROSS JOIN LATERAL (
        SELECT count(*) AS calls, count(*) FILTER (WHERE e.outcome = 'refused' AND e.status NOT IN (404, 429)) AS refused
          FROM (SELECT * FROM public.audit_entries a WHERE a.tenant_id = n.id AND a.at > statement_timestamp() - interval '1 day'
                 ORDER BY a.at DESC LIMIT 200) e
         WHERE e.actor_kind = 'scim_token') c
     ORDER BY s.rank, s.slug
$$;
REVOKE ALL ON FUNCTION fn.fleet(text, text, text, text[], boolean, integer, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.fleet(text, text, text, text[], boolean, integer, text, integer) TO rollcall_fleet;
