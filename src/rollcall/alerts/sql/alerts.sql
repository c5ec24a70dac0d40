-- Alerts: what somebody should look at before it hurts, opened and closed by what is so.

CREATE TYPE fn.due_alert AS (tenant_id uuid, kind text, subject text, stage text, facts jsonb);

-- Opens the alerts that are due for up to p_limit tenants after p_after, by id, and closes those that are no more. Each is open
-- once. Returns how many were looked at, opened and closed, and the last tenant; listed is 0 at the end.
-- p_quiet has for each profile the seconds after which its provider is quiet.
-- Locks: the alerts by id, as they are closed.
CREATE FUNCTION fn.judge_alerts(
    p_after uuid, p_limit integer, p_quiet jsonb,
    OUT listed integer, OUT last_tenant uuid, OUT opened integer, OUT closed integer
) LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_tenants uuid[] := ARRAY(SELECT id FROM public.tenants WHERE id > p_after ORDER BY id LIMIT p_limit);
    v_due fn.due_alert[];
    v_now timestamptz := clock_timestamp();
    v_one record;
BEGIN
    listed := cardinality(v_tenants);
    last_tenant := v_tenants[listed];
    opened := 0; closed := 0;
    v_due := ARRAY(SELECT d FROM fn.due_alerts(v_tenants, p_quiet) d);
    FOR v_one IN
        INSERT INTO public.alerts (tenant_id, kind, subject, stage, facts)
        SELECT (d).tenant_id, (d).kind, (d).subject, (d).stage, (d).facts FROM unnest(v_due) d ORDER BY 1, 2, 3, 4
        ON CONFLICT (tenant_id, kind, subject, stage) WHERE closed_at IS NULL DO NOTHING
        RETURNING tenant_id, id, kind, subject, stage, facts
    LOOP
        opened := opened + 1;
        PERFORM fn.tell_alert('alert.opened', v_one.tenant_id, v_one.id, v_one.kind, v_one.subject, v_one.stage, v_one.facts);
    END LOOP;
    FOR v_one IN
        UPDATE public.alerts a SET closed_at = v_now
         WHERE a.id IN (SELECT o.id FROM public.alerts o
                         WHERE o.tenant_id = ANY (v_tenants) AND o.closed_at IS NULL AND o.opened_at < v_now
                           AND (o.tenant_id, o.kind, o.subject, o.stage) NOT IN (
                               SELECT (d).tenant_id, (d).kind, (d).subject, (d).stage FROM unnest(v_due) d)
                         ORDER BY o.id FOR UPDATE)
           AND a.tenant_id = ANY (v_tenants)
        RETURNING a.tenant_id, a.id, a.kind, a.subject, a.stage, a.facts
    LOOP
        closed := closed + 1;
        PERFORM fn.tell_alert('alert.closed', v_one.tenant_id, v_one.id, v_one.kind, v_one.subject, v_one.stage, v_one.facts);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION fn.judge_alerts(uuid, integer, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.judge_alerts(uuid, integer, jsonb) TO rollcall_fleet;

-- Enters that an alert was opened or closed, hands it to the outbox, and has admins mailed what was opened.
CREATE FUNCTION fn.tell_alert(
    p_topic text, p_tenant uuid, p_id uuid, p_kind text, p_subject text, p_stage text, p_facts jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_event jsonb := jsonb_build_object(
        'alert_id', p_id, 'kind', p_kind, 'subject', p_subject, 'stage', p_stage, 'facts', p_facts);
BEGIN
    IF p_topic = 'alert.opened' THEN
        INSERT INTO public.notices (tenant_id, topic, payload) VALUES (p_tenant, p_topic, v_event);
    END IF;
    PERFORM fn.announce(p_tenant, NULL, 'alerts', jsonb_build_array(v_event || jsonb_build_object('topic', p_topic)));
    PERFORM fn.audit_write(
        p_tenant, jsonb_build_object('request_id', 'alerts', 'action', p_topic, 'actor_kind', 'system',
                                     'actor_label', 'rollcall', 'payload', v_event),
        'done', NULL, NULL, ARRAY[p_topic], NULL, p_id::text);
END $$;

-- What should be open for these tenants at this moment; each kind is a function of its own.
CREATE FUNCTION fn.due_alerts(p_tenants uuid[], p_quiet jsonb) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT * FROM fn.due_of_tokens(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_owners(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_departing_owners(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_deputies(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_quiet(p_tenants, p_quiet)
    UNION ALL SELECT * FROM fn.due_of_failures(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_lapses(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_seats(p_tenants)
    UNION ALL SELECT * FROM fn.due_of_payment(p_tenants)
$$;

-- token_ends: a token of Rollcall's own ends within 30, 20, 7 days or one, and has not been replaced; the stage is the nearest.
-- token_rotation: one was handed over, and its former owner may know it.
CREATE FUNCTION fn.due_of_tokens(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT t.tenant_id, CASE WHEN t.handed_over_at IS NULL THEN 'token_ends' ELSE 'token_rotation' END, t.id::text,
           CASE WHEN t.handed_over_at IS NOT NULL THEN ''
                WHEN t.expires_at <= clock_timestamp() + interval '1 day' THEN '1'
                WHEN t.expires_at <= clock_timestamp() + interval '7 days' THEN '7'
                WHEN t.expires_at <= clock_timestamp() + interval '20 days' THEN '20' ELSE '30' END,
           jsonb_build_object('token_id', t.id, 'label', t.label, 'expires_at', t.expires_at)
      FROM public.tokens t
     WHERE t.tenant_id = ANY (p_tenants) AND t.scopes && ARRAY['scim', 'scim:read', 'admin', 'auditor'] AND t.revoked_at IS NULL
       AND t.replaced_by IS NULL AND t.expires_at > clock_timestamp()
       AND t.expires_at <= clock_timestamp() + interval '30 days'
$$;

-- owner_gone: a connection that was used stands without an owner who is an active admin, and only takes away (or would, were
-- the tenant not suspended). only_admin: the owner of one that works is the tenant's only active admin; if they leave, it ends.
-- without_admin: nobody is an active admin any more, and somebody was.
CREATE FUNCTION fn.due_of_owners(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    WITH admins AS (
        SELECT n.id AS tenant_id, count(a.id) AS number, (array_agg(a.id))[1] AS one, (array_agg(a.user_name))[1] AS name
          FROM unnest(p_tenants) n (id)
          LEFT JOIN public.accounts a ON a.tenant_id = n.id AND a.active AND a.is_admin
         GROUP BY n.id),
    owned AS (
        SELECT t.tenant_id, t.id, t.label, t.owner_id, fn.token_state(t.tenant_id, t.id) AS state
          FROM public.tokens t
         WHERE t.tenant_id = ANY (p_tenants) AND t.revoked_at IS NULL AND t.owner_id IS NOT NULL
           AND t.last_used_at IS NOT NULL AND 'scim' = ANY (t.scopes)
           AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp()))
    SELECT o.tenant_id, 'owner_gone', o.id::text, '', jsonb_build_object('token_id', o.id, 'label', o.label)
      FROM owned o WHERE o.state = 'restricted'
    UNION ALL
    SELECT a.tenant_id, 'only_admin', a.one::text, '', jsonb_build_object('person_id', a.one, 'user_name', a.name)
      FROM admins a
     WHERE a.number = 1
       AND EXISTS (SELECT FROM owned o WHERE o.tenant_id = a.tenant_id AND o.owner_id = a.one AND o.state <> 'restricted')
    UNION ALL
    SELECT a.tenant_id, 'without_admin', '', '', '{}'::jsonb
      FROM admins a
     WHERE a.number = 0 AND EXISTS (SELECT FROM public.accounts g WHERE g.tenant_id = a.tenant_id AND g.is_admin)
$$;

-- owner_at_risk: what is known beforehand of the owner of a connection that is used. Either the provider has said that they left,
-- while the tenant is suspended (said_to_leave: a resume takes them out), or what it says of their role contradicts itself, or
-- means another one (role_contested: they keep the admin role until that is settled). More a provider does not tell.
CREATE FUNCTION fn.due_of_departing_owners(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    WITH owners AS MATERIALIZED (
        SELECT t.tenant_id, t.owner_id, min(t.label) AS label, count(*) AS tokens
          FROM public.tokens t
         WHERE t.tenant_id = ANY (p_tenants) AND t.revoked_at IS NULL AND t.owner_id IS NOT NULL
           AND t.last_used_at IS NOT NULL AND 'scim' = ANY (t.scopes) AND t.replaced_by IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
         GROUP BY t.tenant_id, t.owner_id)
    SELECT o.tenant_id, 'owner_at_risk', o.owner_id::text, s.stage,
           jsonb_build_object('person_id', o.owner_id, 'user_name', a.user_name, 'label', o.label, 'tokens', o.tokens)
      FROM owners o
      JOIN public.accounts a ON a.tenant_id = o.tenant_id AND a.id = o.owner_id AND a.active AND a.is_admin
      JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
     CROSS JOIN LATERAL (
        SELECT 'said_to_leave' AS stage
          FROM public.refused_departures d WHERE d.tenant_id = a.tenant_id AND d.account_id = a.id AND d.epoch = a.epoch
        UNION ALL
        SELECT 'role_contested' WHERE a.role_state ? 'withheld' OR EXISTS (
            SELECT FROM public.conflict_cases c
             WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'conflict' AND c.closed_at IS NULL)) s
$$;

-- no_deputy: the tenant keeps an admin, has one alone, and nobody who would become one as they leave.
CREATE FUNCTION fn.due_of_deputies(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT n.id, 'no_deputy', '', '', jsonb_build_object('user_name', (
               SELECT min(a.user_name) FROM public.accounts a WHERE a.tenant_id = n.id AND a.active AND a.is_admin))
      FROM public.tenants n
     WHERE n.id = ANY (p_tenants) AND n.last_admin = 'keep_one'
       AND (SELECT count(*) FROM public.accounts a WHERE a.tenant_id = n.id AND a.active AND a.is_admin) = 1
       AND NOT EXISTS (SELECT FROM public.accounts d
                        WHERE d.tenant_id = n.id AND d.id = n.deputy_id AND d.active AND NOT d.is_admin)
$$;

-- provider_quiet: a connection that should be in use was not, for as long as says something in the profile in effect.
CREATE FUNCTION fn.due_of_quiet(p_tenants uuid[], p_quiet jsonb) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT n.id, 'provider_quiet', '', '',
           jsonb_build_object('profile', n.profile, 'last_call_at', max(t.last_used_at))
      FROM public.tenants n
      JOIN public.tokens t ON t.tenant_id = n.id
     WHERE n.id = ANY (p_tenants) AND n.status = 'active' AND fn.lapse_of(n.id) IN ('active', 'grace', 'offboarding_only')
       AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
       AND t.scopes && ARRAY['scim', 'scim:read']
     GROUP BY n.id, n.profile
    HAVING max(t.last_used_at) < clock_timestamp() - make_interval(secs => (p_quiet ->> n.profile)::double precision)
$$;

-- failures: within the last hour at least 20 calls of the provider were refused, and no more changes than that were made. What
-- is not found, or came too quickly, is no failure. A hundred refusals are counted at most.
CREATE FUNCTION fn.due_of_failures(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT n.id, 'failures', '', '', jsonb_build_object('refused', r.number, 'within_seconds', 3600)
      FROM unnest(p_tenants) n (id)
     CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT FROM public.audit_entries e
             WHERE e.tenant_id = n.id AND e.outcome = 'refused' AND e.at > statement_timestamp() - interval '1 hour'
               AND e.actor_kind = 'scim_token' AND e.status NOT IN (404, 429) LIMIT 100) e) r
     WHERE r.number >= 20
       AND (SELECT count(*) FROM (
                SELECT FROM public.audit_entries e
                 WHERE e.tenant_id = n.id AND e.outcome = 'done' AND e.at > statement_timestamp() - interval '1 hour'
                   AND e.actor_kind = 'scim_token' AND e.method <> 'GET' LIMIT r.number + 1) e) <= r.number
$$;

-- lapse: the plan has lost SCIM; the stage says what holds, or how near the end is.
CREATE FUNCTION fn.due_of_lapses(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT n.id, 'lapse', '',
           CASE WHEN n.closes_at <= clock_timestamp() + interval '1 day' THEN 'closes_1'
                WHEN n.closes_at <= clock_timestamp() + interval '7 days' THEN 'closes_7'
                WHEN n.closes_at <= clock_timestamp() + interval '30 days' THEN 'closes_30'
                ELSE n.state END,
           jsonb_build_object('plan', n.plan, 'offboarding_from', n.offboarding_from, 'closes_at', n.closes_at)
      FROM (SELECT t.*, fn.lapse_of(t.id) AS state FROM public.tenants t WHERE t.id = ANY (p_tenants)) n
     WHERE n.state IN ('grace', 'offboarding_only')
$$;

-- seats: nine tenths of the seats are taken (nearly), all are (full), or more (over). What is nearest opens; a stage that is open
-- stays so as long as it holds, and nearly until fewer than 85 % are taken, so that a tenant at its limit is not told each day.
CREATE FUNCTION fn.due_of_seats(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT s.id, 'seats', '', g.stage,
           jsonb_build_object('plan', s.plan, 'allowed', s.allowed, 'used', s.used, 'policy', s.policy)
      FROM (SELECT n.id, p.name AS plan, fn.seats_allowed(n, p) AS allowed, fn.seat_policy(n, p) AS policy,
                   fn.seats_used(n.id) AS used
              FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = ANY (p_tenants)) s
     CROSS JOIN LATERAL (VALUES
           ('nearly', s.used < s.allowed AND s.used * 10 >= s.allowed::bigint * 9, s.used * 20 >= s.allowed::bigint * 17),
           ('full', s.used = s.allowed AND s.allowed > 0, s.used >= s.allowed AND s.allowed > 0),
           ('over', s.used > s.allowed, s.used > s.allowed)) g (stage, nearest, holds)
     WHERE g.nearest
        OR g.holds AND EXISTS (
            SELECT FROM public.alerts o WHERE o.tenant_id = s.id AND o.kind = 'seats' AND o.subject = '' AND o.stage = g.stage
               AND o.closed_at IS NULL)
$$;

-- payment_unheard: for an hour and more what was heard of the tenant's customer was not asked about, or it is past its time to be
-- asked about again, or asking has failed (eleven times, with pauses that double from five seconds).
CREATE FUNCTION fn.due_of_payment(p_tenants uuid[]) RETURNS SETOF fn.due_alert LANGUAGE sql STABLE AS $$
    SELECT n.id, 'payment_unheard', '', '',
           jsonb_build_object('customer', c.customer, 'provider', c.provider, 'asked_at', c.asked_at,
                              'failing', c.error IS NOT NULL)
      FROM public.tenants n
      JOIN public.billing_customers c ON c.customer = coalesce(n.customer, n.id::text)
     CROSS JOIN (SELECT clock_timestamp() - interval '1 hour' AS before) h
     WHERE n.id = ANY (p_tenants)
       AND (c.due_at < h.before
            OR c.heard_at < h.before AND c.heard_at > coalesce(c.asked_at, '-infinity')
            OR c.error IS NOT NULL AND c.attempts > 10 AND coalesce(c.asked_at, '-infinity') < h.before)
$$;

-- Deletes up to p_limit alerts that were closed before p_before; returns how many.
CREATE FUNCTION fn.forget_alerts(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.alerts WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM public.alerts WHERE closed_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_alerts(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_alerts(timestamptz, integer) TO rollcall_fleet;
