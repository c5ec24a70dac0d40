-- Who was active on a day, and in which role: from what accounts were before they changed (account_history, which a trigger
-- writes) and what they are.

-- Everybody who was there between p_from and p_to: whether they were active at any moment of it, and at its end; their role at
-- its end; and all that they had while they were active, and whether one was an admin's. A single query, so that it becomes part of the one that asks.
CREATE FUNCTION fn.people_between(p_tenant uuid, p_from timestamptz, p_to timestamptz) RETURNS TABLE (
    account_id uuid, user_name text, active boolean, active_at_end boolean, role text, roles text[], is_admin boolean
) LANGUAGE sql STABLE AS $$
    SELECT a.id, a.user_name, s.active, s.active_at_end, s.role, s.roles, s.is_admin
      FROM public.accounts a
     CROSS JOIN LATERAL (
        SELECT bool_or(h.active OR coalesce(h.deactivated_at > p_from, false)) AS active,
               (array_agg(h.active OR coalesce(h.deactivated_at >= p_to, false) ORDER BY h.until_at DESC))[1] AS active_at_end,
               (array_agg(h.role ORDER BY h.until_at DESC))[1] AS role,
               coalesce(array_agg(DISTINCT h.role) FILTER (WHERE c.came_in), '{}') AS roles,
               coalesce(bool_or(h.is_admin) FILTER (WHERE c.came_in), false) AS is_admin
          FROM (SELECT e.*, lag(e.until_at) OVER (ORDER BY e.until_at) AS begins
                  FROM (SELECT k.until_at, k.active, k.deactivated_at, k.role, k.is_admin FROM public.account_history k
                         WHERE k.tenant_id = a.tenant_id AND k.account_id = a.id AND k.until_at > p_from
                        UNION ALL
                        SELECT 'infinity', a.active, a.deactivated_at, a.role, a.is_admin) e) h
         CROSS JOIN LATERAL (  -- of a stretch in which somebody was deactivated, whether that was after it began
            SELECT h.active OR coalesce(h.deactivated_at > greatest(p_from, h.begins), false) AS came_in) c
         WHERE h.begins IS NULL OR h.begins < p_to) s
     WHERE a.tenant_id = p_tenant AND a.created_at < p_to
$$;

-- From when on that is known of a tenant.
CREATE FUNCTION fn.people_known_since(p_tenant uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT known_since FROM public.account_history_marks WHERE tenant_id = p_tenant),
                    (SELECT created_at FROM public.tenants WHERE id = p_tenant))
$$;

-- Deletes up to p_limit rows that are older than their tenant's audit is kept, and notes from when on is known what is left;
-- returns how many.
CREATE FUNCTION fn.forget_account_history(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_youngest timestamptz := now() - make_interval(days => (
        SELECT min(days) FROM public.audit_retention WHERE counts_from <= now()));
    v_gone bigint;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT h.tenant_id, h.account_id, h.until_at
          FROM public.account_history h
          JOIN public.audit_retention r ON r.tenant_id = h.tenant_id AND r.counts_from <= now()
         WHERE h.until_at < v_youngest AND h.until_at < now() - make_interval(days => r.days)
         LIMIT p_limit FOR UPDATE OF h SKIP LOCKED),
    gone AS (
        DELETE FROM public.account_history h USING old o
         WHERE h.tenant_id = o.tenant_id AND h.account_id = o.account_id AND h.until_at = o.until_at
        RETURNING h.tenant_id, h.until_at),
    marked AS (
        INSERT INTO public.account_history_marks AS m (tenant_id, known_since)
        SELECT g.tenant_id, max(g.until_at) FROM gone g GROUP BY g.tenant_id ORDER BY g.tenant_id
        ON CONFLICT (tenant_id) DO UPDATE SET known_since = greatest(m.known_since, excluded.known_since))
    SELECT count(*) INTO v_gone FROM gone;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_account_history(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_account_history(integer) TO rollcall_fleet;
