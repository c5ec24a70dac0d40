-- Usage: how many people of a tenant were active, month by month, for whoever bills them.

-- Notes how many are active at p_at, of each tenant for whom that is another number than at the last look; returns for how
-- many. Between two looks the number counts as it was at the first one. A month without a row is as the one before it ended.
-- Months are those of UTC. Locks: rows of seat_usage, by tenant.
CREATE FUNCTION fn.note_usage(p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_month date := date_trunc('month', p_at AT TIME ZONE 'UTC')::date;
    v_begins timestamptz := v_month::timestamp AT TIME ZONE 'UTC';
    v_noted bigint;
BEGIN
    INSERT INTO public.seat_usage AS kept (tenant_id, month, counted_from, counted_at, active, peak, person_seconds)
    SELECT n.id, v_month, coalesce(l.begun, p_at), p_at, c.active, greatest(c.active, l.active),
           coalesce(l.active * extract(epoch FROM p_at - l.begun), 0)
      FROM public.tenants n
     CROSS JOIN LATERAL (SELECT coalesce(sum(u.active), 0)::bigint AS active
                           FROM public.user_counts u WHERE u.tenant_id = n.id) AS c
      LEFT JOIN LATERAL (SELECT u.active, u.counted_at, v_begins AS begun FROM public.seat_usage u WHERE u.tenant_id = n.id
                          ORDER BY u.month DESC LIMIT 1) AS l ON true
     WHERE l.active IS DISTINCT FROM c.active AND (l.counted_at < p_at OR l.counted_at IS NULL)
     ORDER BY n.id
    ON CONFLICT (tenant_id, month) DO UPDATE
       SET person_seconds = kept.person_seconds + kept.active * extract(epoch FROM excluded.counted_at - kept.counted_at),
           peak = greatest(kept.peak, excluded.active), active = excluded.active, counted_at = excluded.counted_at
     WHERE kept.counted_at < excluded.counted_at;
    GET DIAGNOSTICS v_noted = ROW_COUNT;
    RETURN v_noted;
END $$;
