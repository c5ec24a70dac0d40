-- How long audits are kept, as plans say, and how what is older goes. What may go is judged here, by the database's clock,
-- so nobody who calls these functions gets rid of anything else.

-- Brings what counts for each tenant up to what its plan says; returns what was shortened now, and from when it counts.
-- A new one counts in 7 days, so that the first run after an upgrade deletes nothing; a longer one at once, and a shorter
-- one in 90 days, which begin anew if it becomes shorter still.
CREATE FUNCTION fn.judge_retention()
RETURNS TABLE (tenant_id uuid, before integer, after integer, counts_from timestamptz)
LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO public.audit_retention (tenant_id, days, counts_from)
    SELECT w.tenant_id, w.days, now() + interval '7 days' FROM fn.wanted_retention() w
        ON CONFLICT (tenant_id) DO NOTHING;
    UPDATE public.audit_retention r SET days = r.shorter_days, shorter_days = NULL, shorter_from = NULL
      FROM fn.wanted_retention() w
     WHERE w.tenant_id = r.tenant_id AND r.shorter_from <= now() AND w.days <= r.shorter_days;
    UPDATE public.audit_retention r SET days = w.days, shorter_days = NULL, shorter_from = NULL
      FROM fn.wanted_retention() w
     WHERE w.tenant_id = r.tenant_id AND w.days >= r.days AND (w.days > r.days OR r.shorter_days IS NOT NULL);
    UPDATE public.audit_retention r SET shorter_days = w.days
      FROM fn.wanted_retention() w
     WHERE w.tenant_id = r.tenant_id AND w.days < r.days AND w.days > r.shorter_days;
    RETURN QUERY
        UPDATE public.audit_retention r SET shorter_days = w.days, shorter_from = now() + interval '90 days'
          FROM fn.wanted_retention() w
         WHERE w.tenant_id = r.tenant_id AND w.days < r.days AND (r.shorter_days IS NULL OR w.days < r.shorter_days)
        RETURNING r.tenant_id, r.days, r.shorter_days, r.shorter_from;
END $$;
REVOKE ALL ON FUNCTION fn.judge_retention() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.judge_retention() TO rollcall_fleet;

-- How long each audit is to be kept; the installation's own as long as the longest.
CREATE FUNCTION fn.wanted_retention() RETURNS TABLE (tenant_id uuid, days integer) LANGUAGE sql STABLE AS $$
    SELECT t.id, p.retention_days FROM public.tenants t JOIN public.plans p ON p.key = t.plan
     UNION ALL
    SELECT '00000000-0000-0000-0000-000000000000', max(retention_days) FROM public.plans HAVING count(*) > 0
$$;

-- The longest time that any audit is kept, in days.
CREATE FUNCTION fn.longest_retention() RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT greatest((SELECT max(days) FROM public.audit_retention), (SELECT max(retention_days) FROM public.plans))
$$;

-- Entries that are older than they are to be kept and that nothing is deleted of yet: of whom, how many, from when on.
CREATE FUNCTION fn.announced_deletions()
RETURNS TABLE (tenant_id uuid, entries bigint, counts_from timestamptz) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT r.tenant_id, count(*), r.counts_from
      FROM public.audit_retention r
      JOIN public.audit_entries e ON e.tenant_id = r.tenant_id AND e.at < now() - make_interval(days => r.days)
     WHERE r.counts_from > now()
     GROUP BY r.tenant_id
$$;
REVOKE ALL ON FUNCTION fn.announced_deletions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.announced_deletions() TO rollcall_fleet;

-- Deletes up to p_limit of a tenant's oldest entries that are over, with their payloads; returns how many.
-- public.refuse_rewriting lets nothing else go.
CREATE FUNCTION fn.forget_entries(p_tenant uuid, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_before timestamptz;
    v_gone bigint;
BEGIN
    SELECT now() - make_interval(days => days) INTO v_before
      FROM public.audit_retention WHERE tenant_id = p_tenant AND counts_from <= now();
    WITH old AS MATERIALIZED (
        SELECT at, id FROM public.audit_entries WHERE tenant_id = p_tenant AND at < v_before ORDER BY at, id LIMIT p_limit),
    payloads AS (
        DELETE FROM public.audit_payloads p USING old
         WHERE p.tenant_id = p_tenant AND p.at < v_before AND p.at = old.at AND p.entry_id = old.id)
    DELETE FROM public.audit_entries e USING old
     WHERE e.tenant_id = p_tenant AND e.at < v_before AND e.at = old.at AND e.id = old.id;
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_entries(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_entries(uuid, integer) TO rollcall_fleet;

-- The times of partitions that lie wholly before the longest time that any audit is kept, oldest first.
CREATE FUNCTION fn.audit_months_over() RETURNS TABLE (begins timestamptz, ends timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT DISTINCT p.begins, p.ends
      FROM unnest(ARRAY['audit_entries', 'audit_payloads']) t (name) CROSS JOIN LATERAL fn.audit_partitions(t.name) p
     WHERE p.ends <= now() - make_interval(days => fn.longest_retention())
       AND EXISTS (SELECT FROM public.audit_retention
                    WHERE tenant_id = '00000000-0000-0000-0000-000000000000' AND counts_from <= now())
     ORDER BY 1
$$;
REVOKE ALL ON FUNCTION fn.audit_months_over() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.audit_months_over() TO rollcall_fleet;

-- Drops the partitions of a time that is over, of entries and payloads.
-- Locks: both tables, for which it waits a tenth of a second; everybody who writes waits as long. Then it fails with 55P03.
CREATE FUNCTION fn.drop_audit_month(p_begins timestamptz, p_ends timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
    v_table text;
    v_name text;
BEGIN
    IF NOT EXISTS (SELECT FROM fn.audit_months_over() WHERE begins = p_begins AND ends = p_ends) THEN
        RAISE EXCEPTION 'the audit is append-only: no month from % to % is over', p_begins, p_ends
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR v_table, v_name IN
        SELECT t.name, p.name
          FROM unnest(ARRAY['audit_entries', 'audit_payloads']) t (name) CROSS JOIN LATERAL fn.audit_partitions(t.name) p
         WHERE p.begins = p_begins AND p.ends = p_ends
         ORDER BY 1
    LOOP
        EXECUTE format('ALTER TABLE public.%I DETACH PARTITION public.%I', v_table, v_name);
        EXECUTE format('DROP TABLE public.%I', v_name);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION fn.drop_audit_month(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.drop_audit_month(timestamptz, timestamptz) TO rollcall_fleet;
