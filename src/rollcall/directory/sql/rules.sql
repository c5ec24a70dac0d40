-- The role rule: held while it is used, and what an edit of it makes of people.

-- The version of the tenant's role rule, which is not edited before the transaction ends. An advisory lock, because many
-- hold it at the same moment: in the tenant's row each of them would write down all the others.
CREATE FUNCTION fn.held_rule_version(p_tenant uuid) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('role rule ' || p_tenant, 0));
    RETURN (SELECT role_rule_version FROM public.tenants WHERE id = p_tenant);
END $$;

-- Waits for all who hold the version, so that it can be edited.
CREATE FUNCTION fn.hold_rule(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('role rule ' || p_tenant, 0))
$$;

-- Opens the cases of those of many whose names conflict by an edited role rule, or are unknown by it, and tells of them.
-- p_people: {account_id, user_id, case, unknown, events}.
CREATE FUNCTION fn.open_cases_of_many(p_tenant uuid, p_request_id text, p_people jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT fn.open_case(p_tenant, p.user_id, p.case, true)
      FROM jsonb_to_recordset(p_people) p (user_id uuid, "case" jsonb) WHERE p.case IS NOT NULL;
    SELECT fn.open_unknown_role(p_tenant, p.user_id, p.account_id, p_request_id, p.unknown)
      FROM jsonb_to_recordset(p_people) p (account_id uuid, user_id uuid, unknown jsonb) WHERE p.unknown IS NOT NULL;
    INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p.account_id, p_request_id, e - 'topic'
      FROM jsonb_to_recordset(p_people) p (account_id uuid, events jsonb), jsonb_array_elements(p.events) e;
$$;

-- Counts in the ledger, for today, how often each of these deviations was met: {deviation: times}. In the order in which
-- everybody counts there.
CREATE FUNCTION fn.count_unknown_roles(p_tenant uuid, p_times jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.deviations (tenant_id, day, habit, times)
    SELECT p_tenant, (statement_timestamp() AT TIME ZONE 'UTC')::date, key, value::integer
      FROM jsonb_each_text(p_times) ORDER BY key
    ON CONFLICT (tenant_id, day, habit) DO UPDATE SET times = deviations.times + excluded.times
$$;
