-- Events: each message of the outbox is fanned out to the destinations that want to hear of it, and delivered from there.
-- All of this runs outside any request: fanning out, leasing and claiming under the fleet's role, the rest as the tenant.
-- These tables grow faster than they are counted, and a plan kept from when one was small would read all of it every
-- time; so each statement is planned for the table as it is.

-- Makes the deliveries of up to p_limit new messages and marks the messages, in one transaction: a message is fanned
-- out whole, once. What nobody within Rollcall listens to (p_heard) is done with it. Returns how many messages there were.
-- Only one fans out at a time: two side by side could let a person's later message overtake an earlier one.
-- A departure that more than p_limit messages stand before is fanned out with those all the same, and with what is to be told
-- of that person before it: a tenant whose large change makes a hundred thousand holds up nobody who leaves.
-- A departure is due since yesterday: of what is due for a destination the longest due goes first, and a departure is not
-- to wait behind whatever else that has to hear. One that stands behind another of its line waits for that all the same.
CREATE FUNCTION fn.fan_out(p_limit integer, p_heard text[]) RETURNS integer LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_number integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('rollcall fan out', 0)) THEN
        RETURN 0;
    END IF;
    WITH oldest AS MATERIALIZED (
        SELECT tenant_id, id FROM public.outbox WHERE fanned_out_at IS NULL ORDER BY id LIMIT p_limit),
    leaving AS MATERIALIZED (
        SELECT tenant_id, id, account_id FROM public.outbox
         WHERE fanned_out_at IS NULL AND topic = 'user.deactivated'
           AND id > (SELECT id FROM oldest ORDER BY id DESC LIMIT 1) ORDER BY id LIMIT p_limit),
    chosen AS (
        SELECT tenant_id, id FROM oldest
        UNION
        SELECT o.tenant_id, o.id FROM leaving l JOIN public.outbox o ON o.tenant_id = l.tenant_id
           AND o.account_id = l.account_id AND o.id <= l.id AND o.fanned_out_at IS NULL),
    new AS MATERIALIZED (
        SELECT o.tenant_id, o.id, o.topic, o.account_id, o.created_at
          FROM chosen JOIN public.outbox o ON o.tenant_id = chosen.tenant_id AND o.id = chosen.id),
    made AS (
        INSERT INTO public.deliveries (tenant_id, destination_tenant_id, destination_id, kind, label, message_id, topic,
                                account_id, line_id, next_try_at, give_up_at)
        SELECT n.tenant_id, d.tenant_id, d.id, d.kind, d.label, n.id, n.topic, n.account_id,
               coalesce(n.account_id, '00000000-0000-0000-0000-000000000000'),
               clock_timestamp() - CASE n.topic WHEN 'user.deactivated' THEN interval '1 day' ELSE interval '0' END,
               n.created_at + interval '3 days'
          FROM new n
          JOIN public.destinations d ON d.tenant_id IN (n.tenant_id, '00000000-0000-0000-0000-000000000000')
         WHERE d.disabled_at IS NULL AND d.deleted_at IS NULL AND (d.topics = '{}' OR n.topic = ANY (d.topics))
           AND (d.tenant_id <> n.tenant_id OR fn.may_hear(n.tenant_id, n.topic))
         ORDER BY n.id
        ON CONFLICT DO NOTHING)
    UPDATE public.outbox o
       SET fanned_out_at = clock_timestamp(),
           done_at = CASE WHEN o.topic = ANY (p_heard) THEN o.done_at ELSE coalesce(o.done_at, clock_timestamp()) END
      FROM new WHERE o.tenant_id = new.tenant_id AND o.id = new.id;
    GET DIAGNOSTICS v_number = ROW_COUNT;
    RETURN v_number;
END $$;

-- Leases up to p_limit destinations that have something due, those that took the last call or those that did not; and of
-- one owner p_most at a time, so that whoever has many that hang holds up nobody else's.
-- The walk hops from one destination with anything pending to the next, however much each of them has pending.
CREATE FUNCTION fn.lease_destinations(p_limit integer, p_most integer, p_seconds double precision, p_failing boolean)
RETURNS TABLE (owner_id uuid, destination_id uuid) LANGUAGE sql SET plan_cache_mode = force_custom_plan AS $$
    WITH RECURSIVE waiting AS (
        (SELECT v.destination_tenant_id AS t, v.destination_id AS d FROM public.deliveries v
          WHERE v.state = 'pending' ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT n.t, n.d FROM waiting w CROSS JOIN LATERAL (
            SELECT v.destination_tenant_id AS t, v.destination_id AS d FROM public.deliveries v
             WHERE v.state = 'pending' AND (v.destination_tenant_id, v.destination_id) > (w.t, w.d)
             ORDER BY 1, 2 LIMIT 1) n),
    due AS (
        SELECT d.tenant_id, d.id, row_number() OVER (PARTITION BY d.tenant_id ORDER BY d.leased_until NULLS FIRST) AS place
          FROM waiting w JOIN public.destinations d ON d.tenant_id = w.t AND d.id = w.d
         WHERE (d.leased_until IS NULL OR d.leased_until <= clock_timestamp()) AND (d.failures > 0) = p_failing
           AND (d.disabled_at IS NOT NULL OR d.deleted_at IS NOT NULL
                OR (coalesce(d.next_try_at, '-infinity') <= clock_timestamp()
                    AND EXISTS (SELECT FROM public.deliveries v
                                 WHERE v.destination_tenant_id = d.tenant_id AND v.destination_id = d.id
                                   AND v.state = 'pending' AND v.next_try_at <= clock_timestamp())))),
    taken AS (
        SELECT d.tenant_id, d.id FROM due JOIN public.destinations d ON d.tenant_id = due.tenant_id AND d.id = due.id
         WHERE (d.leased_until IS NULL OR d.leased_until <= clock_timestamp())
           AND due.place <= p_most - (SELECT count(*) FROM public.destinations o
                                       WHERE o.tenant_id = due.tenant_id AND o.leased_until > clock_timestamp()
                                         AND (o.failures > 0) = p_failing)
         ORDER BY d.leased_until NULLS FIRST LIMIT p_limit FOR UPDATE OF d SKIP LOCKED)
    UPDATE public.destinations d SET leased_until = clock_timestamp() + make_interval(secs => p_seconds)
      FROM taken WHERE d.tenant_id = taken.tenant_id AND d.id = taken.id
    RETURNING d.tenant_id, d.id
$$;

-- Claims up to p_limit due deliveries of one destination for p_seconds. Each is one more attempt.
-- One that stands behind another of its line is claimed only together with it; else it is put off until that one is
-- due, and comes back here with claimed = false. With p_closed, the destination is closed: all are claimed as they come.
CREATE FUNCTION fn.claim_deliveries(
    p_owner uuid, p_destination uuid, p_limit integer, p_seconds double precision, p_closed boolean
) RETURNS TABLE (
    tenant_id uuid, id uuid, message_id uuid, line_id uuid, topic text, attempts integer, give_up_at timestamptz,
    claimed boolean
) LANGUAGE sql SET plan_cache_mode = force_custom_plan AS $$
    WITH due AS MATERIALIZED (
        SELECT v.tenant_id, v.line_id, v.message_id FROM public.deliveries v
         WHERE v.destination_tenant_id = p_owner AND v.destination_id = p_destination AND v.state = 'pending'
           AND (p_closed OR v.next_try_at <= clock_timestamp())
         ORDER BY v.next_try_at, v.message_id LIMIT p_limit FOR UPDATE SKIP LOCKED),
    judged AS MATERIALIZED (
        SELECT d.tenant_id, d.message_id, (
            SELECT e.next_try_at FROM public.deliveries e
             WHERE e.destination_tenant_id = p_owner AND e.destination_id = p_destination AND e.state = 'pending'
               AND e.tenant_id = d.tenant_id AND e.line_id = d.line_id AND e.message_id < d.message_id
               AND NOT p_closed
               AND NOT EXISTS (SELECT FROM due x WHERE x.tenant_id = e.tenant_id AND x.message_id = e.message_id)
             ORDER BY e.message_id LIMIT 1) AS behind
          FROM due d)
    UPDATE public.deliveries v
       SET next_try_at = coalesce(j.behind, clock_timestamp() + make_interval(secs => p_seconds)),
           attempts = v.attempts + CASE WHEN j.behind IS NULL THEN 1 ELSE 0 END,
           first_tried_at = CASE WHEN j.behind IS NULL THEN coalesce(v.first_tried_at, clock_timestamp())
                                 ELSE v.first_tried_at END
      FROM judged j
     WHERE v.tenant_id = j.tenant_id AND v.message_id = j.message_id AND v.destination_id = p_destination
    RETURNING v.tenant_id, v.id, v.message_id, v.line_id, v.topic, v.attempts, v.give_up_at, j.behind IS NULL
$$;

-- Marks a destination's deliveries that have ended, each if it is still the attempt that p_ended names, and lets the next
-- of its line go: a departure goes first, as when it was fanned out. Each of p_ended says message_id, attempts, state,
-- status, error and took. Returns the messages whose deliveries were marked.
-- A statement for all of them: planning one for each took three times as long as running it. They are looked up one by one,
-- as p_ended has them, by the one index that names a delivery.
CREATE FUNCTION fn.mark_ended(p_tenant uuid, p_destination uuid, p_ended jsonb)
RETURNS TABLE (message_id uuid, topic text)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    v_owner uuid;
    v_lines uuid[];
    v_messages uuid[];
    v_topics text[];
BEGIN
    WITH marked AS (
        UPDATE public.deliveries v
           SET state = e.state, ended_at = clock_timestamp(), last_status = e.status, last_error = e.error, took_ms = e.took
          FROM jsonb_to_recordset(p_ended) AS e (
               message_id uuid, attempts integer, state text, status integer, error text, took integer)
         WHERE v.tenant_id = p_tenant AND v.message_id = e.message_id AND v.destination_id = p_destination
           AND v.ended_at IS NULL AND v.attempts = e.attempts
        RETURNING v.destination_tenant_id, v.line_id, v.message_id, v.topic)
    SELECT (array_agg(m.destination_tenant_id))[1], array_agg(m.line_id), array_agg(m.message_id), array_agg(m.topic)
      INTO v_owner, v_lines, v_messages, v_topics FROM marked m;
    IF v_messages IS NULL THEN
        RETURN;
    END IF;
    -- A statement of its own, for it has to see what was marked: two of one line may have ended together.
    UPDATE public.deliveries v
       SET next_try_at = clock_timestamp() - make_interval(days => (v.topic = 'user.deactivated')::integer)
      FROM unnest(v_lines, v_messages) AS l (line_id, message_id)
     WHERE v.destination_tenant_id = v_owner AND v.destination_id = p_destination
       AND v.tenant_id = p_tenant AND v.line_id = l.line_id AND v.message_id > l.message_id
       AND v.state = 'pending' AND v.attempts = 0 AND v.next_try_at > clock_timestamp();
    RETURN QUERY SELECT m.message_id, m.topic FROM unnest(v_messages, v_topics) AS m (message_id, topic);
END $$;

-- What became of each destination of these departures, for those of them that are settled and wait for no destination.
-- One that had nobody to tell comes with an empty destination.
-- The messages stay locked until the transaction ends. So of two that end at the same moment the later one sees what the
-- earlier one did, and one of them completes the receipt. In the order of their ids, as everybody who locks several.
CREATE FUNCTION fn.told_of_departures(p_tenant uuid, p_messages uuid[])
RETURNS TABLE (message_id uuid, owner_id uuid, destination_id uuid, kind text, label text, state text,
               ended_at timestamptz, attempts integer)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    PERFORM FROM public.outbox o WHERE o.tenant_id = p_tenant AND o.id = ANY (p_messages) ORDER BY o.id FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT o.id, v.destination_tenant_id, v.destination_id, v.kind, v.label, v.state, v.ended_at, v.attempts
          FROM public.outbox o LEFT JOIN public.deliveries v ON v.tenant_id = o.tenant_id AND v.message_id = o.id
         WHERE o.tenant_id = p_tenant AND o.id = ANY (p_messages) AND o.topic = 'user.deactivated'
           AND o.done_at IS NOT NULL AND o.fanned_out_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM public.deliveries w
                            WHERE w.tenant_id = o.tenant_id AND w.message_id = o.id AND w.ended_at IS NULL);
END $$;
