-- The months that the audit is kept in, and the default partition that takes what no month was made for.

-- The partitions of audit_entries or audit_payloads, each with the time it is for. The default one is not among them.
CREATE FUNCTION fn.audit_partitions(p_table text)
RETURNS TABLE (name text, begins timestamptz, ends timestamptz) LANGUAGE sql STABLE AS $$
    SELECT c.relname::text, (bound[1])::timestamptz, (bound[2])::timestamptz
      FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
     CROSS JOIN regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)') AS bound
     WHERE i.inhparent = to_regclass('public.' || p_table) AND bound IS NOT NULL
     ORDER BY 2
$$;

-- The months, as the first moment of each, of which the default partition has rows.
CREATE FUNCTION fn.audit_strays(p_table text) RETURNS SETOF timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM fn.check_audit_table(p_table);
    RETURN QUERY EXECUTE format(
        'SELECT DISTINCT date_trunc(''month'', at AT TIME ZONE ''UTC'') AT TIME ZONE ''UTC'' FROM public.%I ORDER BY 1',
        p_table || '_default');
END $$;
REVOKE ALL ON FUNCTION fn.audit_strays(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.audit_strays(text) TO rollcall_fleet;

CREATE FUNCTION fn.check_audit_table(p_table text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p_table NOT IN ('audit_entries', 'audit_payloads') THEN
        RAISE EXCEPTION '% is no table of the audit', p_table USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

-- Takes the summaries of the last blocks of a partition away, of an empty one those of the first. Who writes into blocks
-- that have summaries pays for them with each entry; these get theirs when they are full.
CREATE FUNCTION fn.leave_last_blocks(p_partition regclass) RETURNS void LANGUAGE sql AS $$
    SELECT brin_desummarize_range(i.indexrelid, pg_relation_size(p_partition) / current_setting('block_size')::integer)
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.amname = 'brin'
     WHERE i.indrelid = p_partition
$$;

-- Makes a partition for a time that none is for, with what the default partition has of that time. Returns how many rows
-- came from there, or NULL if there is a table of that name.
-- Locks: the default partition, which a writer touches only if no partition is for its moment. Whoever waits here for a
-- reader of the audit holds up other readers, for half a second at most, and nobody who writes; then it fails with 55P03.
CREATE FUNCTION fn.make_audit_partition(p_table text, p_name text, p_begins timestamptz, p_ends timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '500ms' AS $$
DECLARE
    v_default text := p_table || '_default';
    v_moved bigint;
    v_gone bigint;
BEGIN
    PERFORM fn.check_audit_table(p_table);
    IF p_name !~ ('^' || p_table || '_\d{4}_\d{2}(_\d{2}_\d{2})?$') THEN
        RAISE EXCEPTION '% is no name of a partition of %', p_name, p_table USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('audit partitions', 0));
    IF to_regclass('public.' || p_name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE '
                   'INCLUDING COMPRESSION)', p_name, p_table);
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', v_default);
    EXECUTE format('INSERT INTO public.%I SELECT * FROM public.%I WHERE at >= $1 AND at < $2', p_name, v_default)
      USING p_begins, p_ends;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    IF v_moved > 0 THEN
        -- Nobody else comes near before this is committed, and what is taken away here stands there.
        EXECUTE format('ALTER TABLE public.%I DISABLE TRIGGER append_only', v_default);
        EXECUTE format('DELETE FROM public.%I WHERE at >= $1 AND at < $2', v_default) USING p_begins, p_ends;
        GET DIAGNOSTICS v_gone = ROW_COUNT;
        EXECUTE format('ALTER TABLE public.%I ENABLE TRIGGER append_only', v_default);
        ASSERT v_gone = v_moved;
    END IF;
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   p_table, p_name, p_begins, p_ends);
    IF p_table = 'audit_entries' THEN
        EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rewriting()', p_name);
    END IF;
    PERFORM fn.leave_last_blocks(format('public.%I', p_name)::regclass);
    RETURN v_moved;
END $$;
REVOKE ALL ON FUNCTION fn.make_audit_partition(text, text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.make_audit_partition(text, text, timestamptz, timestamptz) TO rollcall_fleet;
