-- Events: each message of the outbox is fanned out to the destinations that want to hear of it, and delivered from there.
-- All of this runs under the fleet's role, outside any request.

-- Makes the deliveries of up to p_limit new messages and marks the messages, in one transaction: a message is fanned
-- out whole, once. What nobody within Rollcall listens to (p_heard) is done with it. Returns how many messages there were.
-- Only one fans out at a time: two side by side could let a person's later message overtake an earlier one.
-- A departure is due since yesterday: of what is due for a destination the longest due goes first, and a departure is not
-- to wait behind whatever else that has to hear. One that stands behind another of its line waits for that all the same.
CREATE FUNCTION fan_out(p_limit integer, p_heard text[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE v_number integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('rollcall fan out', 0)) THEN
        RETURN 0;
    END IF;
    WITH new AS MATERIALIZED (
        SELECT tenant_id, id, topic, account_id, created_at FROM outbox
         WHERE fanned_out_at IS NULL ORDER BY id LIMIT p_limit),
    made AS (
        INSERT INTO deliveries (tenant_id, destination_tenant_id, destination_id, kind, label, message_id, topic,
                                account_id, line_id, next_try_at, give_up_at)
        SELECT n.tenant_id, d.tenant_id, d.id, d.kind, d.label, n.id, n.topic, n.account_id,
               coalesce(n.account_id, '00000000-0000-0000-0000-000000000000'),
               clock_timestamp() - CASE n.topic WHEN 'user.deactivated' THEN interval '1 day' ELSE interval '0' END,
               n.created_at + interval '3 days'
          FROM new n
          JOIN destinations d ON d.tenant_id IN (n.tenant_id, '00000000-0000-0000-0000-000000000000')
         WHERE d.disabled_at IS NULL AND d.deleted_at IS NULL AND (d.topics = '{}' OR n.topic = ANY (d.topics))
         ORDER BY n.id
        ON CONFLICT DO NOTHING)
    UPDATE outbox o
       SET fanned_out_at = clock_timestamp(),
           done_at = CASE WHEN o.topic = ANY (p_heard) THEN o.done_at ELSE coalesce(o.done_at, clock_timestamp()) END
      FROM new WHERE o.tenant_id = new.tenant_id AND o.id = new.id;
    GET DIAGNOSTICS v_number = ROW_COUNT;
    RETURN v_number;
END $$;

-- Leases up to p_limit destinations that have something due, those that took the last call or those that did not.
-- The walk hops from one destination with anything pending to the next, however much each of them has pending.
CREATE FUNCTION lease_destinations(p_limit integer, p_seconds double precision, p_failing boolean)
RETURNS TABLE (owner_id uuid, destination_id uuid) LANGUAGE sql AS $$
    WITH RECURSIVE waiting AS (
        (SELECT v.destination_tenant_id AS t, v.destination_id AS d FROM deliveries v
          WHERE v.state = 'pending' ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT n.t, n.d FROM waiting w CROSS JOIN LATERAL (
            SELECT v.destination_tenant_id AS t, v.destination_id AS d FROM deliveries v
             WHERE v.state = 'pending' AND (v.destination_tenant_id, v.destination_id) > (w.t, w.d)
             ORDER BY 1, 2 LIMIT 1) n),
    due AS (
        SELECT d.tenant_id, d.id FROM waiting w JOIN destinations d ON d.tenant_id = w.t AND d.id = w.d
         WHERE (d.leased_until IS NULL OR d.leased_until <= clock_timestamp()) AND (d.failures > 0) = p_failing
           AND (d.disabled_at IS NOT NULL OR d.deleted_at IS NOT NULL
                OR (coalesce(d.next_try_at, '-infinity') <= clock_timestamp()
                    AND EXISTS (SELECT FROM deliveries v
                                 WHERE v.destination_tenant_id = d.tenant_id AND v.destination_id = d.id
                                   AND v.state = 'pending' AND v.next_try_at <= clock_timestamp())))
         ORDER BY d.leased_until NULLS FIRST LIMIT p_limit FOR UPDATE OF d SKIP LOCKED)
    UPDATE destinations d SET leased_until = clock_timestamp() + make_interval(secs => p_seconds)
      FROM due WHERE d.tenant_id = due.tenant_id AND d.id = due.id
    RETURNING d.tenant_id, d.id
$$;

-- Claims up to p_limit due deliveries of one destination for p_seconds. Each is one more attempt.
-- One that stands behind another of its line is claimed only together with it; else it is put off until that one is
-- due, and comes back here with claimed = false. With p_closed, the destination is closed: all are claimed as they come.
CREATE FUNCTION claim_deliveries(
    p_owner uuid, p_destination uuid, p_limit integer, p_seconds double precision, p_closed boolean
) RETURNS TABLE (
    tenant_id uuid, id uuid, message_id uuid, line_id uuid, topic text, attempts integer, give_up_at timestamptz,
    claimed boolean
) LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT v.tenant_id, v.id, v.line_id, v.message_id FROM deliveries v
         WHERE v.destination_tenant_id = p_owner AND v.destination_id = p_destination AND v.state = 'pending'
           AND (p_closed OR v.next_try_at <= clock_timestamp())
         ORDER BY v.next_try_at, v.message_id LIMIT p_limit FOR UPDATE SKIP LOCKED),
    judged AS MATERIALIZED (
        SELECT d.tenant_id, d.id, (
            SELECT e.next_try_at FROM deliveries e
             WHERE e.destination_tenant_id = p_owner AND e.destination_id = p_destination AND e.state = 'pending'
               AND e.tenant_id = d.tenant_id AND e.line_id = d.line_id AND e.message_id < d.message_id
               AND NOT p_closed
               AND NOT EXISTS (SELECT FROM due x WHERE x.tenant_id = e.tenant_id AND x.id = e.id)
             ORDER BY e.message_id LIMIT 1) AS behind
          FROM due d)
    UPDATE deliveries v
       SET next_try_at = coalesce(j.behind, clock_timestamp() + make_interval(secs => p_seconds)),
           attempts = v.attempts + CASE WHEN j.behind IS NULL THEN 1 ELSE 0 END,
           first_tried_at = CASE WHEN j.behind IS NULL THEN coalesce(v.first_tried_at, clock_timestamp())
                                 ELSE v.first_tried_at END
      FROM judged j WHERE v.tenant_id = j.tenant_id AND v.id = j.id
    RETURNING v.tenant_id, v.id, v.message_id, v.line_id, v.topic, v.attempts, v.give_up_at, j.behind IS NULL
$$;
