-- Seats: how many active people a tenant may have, and the turns that newcomers take as the last seats go.

-- An override of a tenant by its key, unless its end has come; else what is paid for under that key (tenancy/payment.py);
-- NULL if there is neither. No single expression, so that tenants without one do not pay for it.
CREATE FUNCTION fn.override(p_overrides jsonb, p_key text) RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE v_paid jsonb := p_overrides -> 'paid' -> p_key;
BEGIN
    RETURN CASE WHEN p_overrides ? p_key
                     AND ((p_overrides -> p_key ->> 'ends_at')::timestamptz <= clock_timestamp()) IS NOT TRUE
                THEN p_overrides -> p_key
                WHEN ((v_paid ->> 'ends_at')::timestamptz <= clock_timestamp()) IS NOT TRUE THEN v_paid END;
END $$;

-- How many active people a tenant may have; NULL is any number.
CREATE FUNCTION fn.seats_allowed(n public.tenants, p public.plans) RETURNS integer LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE WHEN n.overrides IS NULL THEN p.seats
               ELSE coalesce((fn.override(n.overrides, 'seats') ->> 'value')::integer, p.seats) END $$;

-- What becomes of a newcomer for whom no seat is left: refuse, or overage, by which they are let in.
CREATE FUNCTION fn.seat_policy(n public.tenants, p public.plans) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE WHEN n.overrides IS NULL THEN p.seat_policy
               ELSE coalesce(fn.override(n.overrides, 'seat_policy') ->> 'value', p.seat_policy) END $$;

-- How many people of a tenant are active: the sum of the parts that connections keep (trigger count_people).
CREATE FUNCTION fn.seats_used(p_tenant uuid) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(sum(active), 0)::bigint FROM public.user_counts WHERE tenant_id = p_tenant $$;

-- Where a tenant stands; what is asked of it before somebody is let in and afterwards.
CREATE FUNCTION fn.seats_of(
    p_tenant uuid, OUT plan text, OUT allowed integer, OUT policy text, OUT used bigint, OUT free bigint
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT p.name, fn.seats_allowed(n, p), fn.seat_policy(n, p) INTO plan, allowed, policy
      FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = p_tenant;
    IF allowed IS NOT NULL THEN
        used := fn.seats_used(p_tenant);
        free := allowed - used;
    END IF;
END $$;

-- Takes a seat before somebody is written as active. kind: any (there is no limit, or so many are left that those who are
-- under way can't take them all), free (more than 64 are left), over (by the policy nobody is refused), last (the caller has
-- the tenant's turn until it commits, and a seat), or none. Called before anybody is written.
-- Locks: seats of the tenant; shared while more than 64 are left, or nobody is refused, so that whoever takes one of the last
-- waits for those who were before them. None where no seat is left: whoever is under way makes it no less so.
CREATE FUNCTION fn.take_seat(p_tenant uuid) RETURNS fn.seat LANGUAGE plpgsql AS $$
DECLARE
    s fn.seat;
    v_key bigint;
    v_policy text;
    v_overrides jsonb;
BEGIN
    -- As seats_of, but cheaper for tenants without overrides: every creation asks this.
    SELECT p.seats, p.seat_policy, n.overrides INTO s.allowed, v_policy, v_overrides
      FROM public.tenants n JOIN public.plans p ON p.key = n.plan WHERE n.id = p_tenant;
    IF v_overrides IS NOT NULL THEN
        SELECT o.allowed, o.policy INTO s.allowed, v_policy FROM fn.seats_of(p_tenant) o;
    END IF;
    IF s.allowed IS NULL THEN
        s.kind := 'any';
        RETURN s;
    END IF;
    v_key := hashtextextended('seats ' || p_tenant, 0);
    SELECT coalesce(sum(c.active), 0) INTO s.used FROM public.user_counts c WHERE c.tenant_id = p_tenant;
    IF s.allowed - s.used > 64 OR v_policy = 'overage' THEN
        IF NOT pg_try_advisory_xact_lock_shared(v_key) THEN
            -- Whoever has waited asks for the plan once more, which may be another one by now.
            PERFORM pg_advisory_xact_lock_shared(v_key);
            SELECT o.allowed, o.policy, o.used INTO s.allowed, v_policy, s.used FROM fn.seats_of(p_tenant) o;
        END IF;
        s.kind := CASE WHEN s.allowed IS NULL
                         OR s.allowed - s.used > 64 + current_setting('max_connections')::integer THEN 'any'
                       WHEN v_policy = 'overage' THEN 'over'
                       WHEN s.used >= s.allowed THEN 'none' ELSE 'free' END;
        RETURN s;
    ELSIF s.used < s.allowed THEN
        IF pg_try_advisory_xact_lock(v_key) THEN
            SELECT coalesce(sum(c.active), 0) INTO s.used FROM public.user_counts c WHERE c.tenant_id = p_tenant;
        ELSE
            PERFORM pg_advisory_xact_lock(v_key);
            SELECT o.allowed, o.policy, o.used INTO s.allowed, v_policy, s.used FROM fn.seats_of(p_tenant) o;
        END IF;
    END IF;
    s.kind := CASE WHEN s.used >= s.allowed AND v_policy <> 'overage' THEN 'none' ELSE 'last' END;
    RETURN s;
END $$;

-- Looks once more when somebody was written who took a seat; returns the names of events that it announced.
-- Whoever has written holds the row of their part of the count, so at most 31 others are not seen here; with fewer seats
-- left than that, whoever has no turn begins anew (a serialization failure, which every surface tries again).
-- Whoever has the turn is the only one who came in since they counted. Two who are over at the same moment may both not see
-- the other: the next newcomer does, or the look that a worker takes each minute.
CREATE FUNCTION fn.seat_taken(p_tenant uuid, s fn.seat, p_request_id text) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    IF s.kind = 'free' AND s.allowed - fn.seats_used(p_tenant) < 32 THEN
        RAISE EXCEPTION 'the last seats are being taken at this moment' USING ERRCODE = 'serialization_failure';
    ELSIF s.kind IN ('last', 'over') AND s.used + 1 >= s.allowed THEN
        RETURN fn.mark_seats(p_tenant, s.allowed, s.used + 1, p_request_id, true);
    END IF;
    RETURN '{}';
END $$;

-- Notes since when a tenant is full, and since when it has more people than seats, which is announced once; both end by
-- themselves. p_joined: somebody has taken a seat just now; they may have counted before others came, so by them it only
-- begins. Returns the names of events that it announced.
-- Locks: the tenant's marks.
CREATE FUNCTION fn.mark_seats(
    p_tenant uuid, p_allowed integer, p_used bigint, p_request_id text, p_joined boolean
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_over boolean := coalesce(p_used > p_allowed, false);
    v_topic text;
    m public.seat_marks;
BEGIN
    -- Of those who come to a tenant that is over already each finds it noted, and writes nothing.
    IF v_over AND EXISTS (SELECT FROM public.seat_marks WHERE tenant_id = p_tenant
                             AND over_since IS NOT NULL AND full_since IS NOT NULL) THEN
        RETURN '{}';
    END IF;
    INSERT INTO public.seat_marks (tenant_id) VALUES (p_tenant) ON CONFLICT DO NOTHING;
    SELECT * INTO m FROM public.seat_marks WHERE tenant_id = p_tenant FOR NO KEY UPDATE;
    v_topic := CASE WHEN v_over AND m.over_since IS NULL THEN 'tenant.over_seats'
                    WHEN NOT v_over AND NOT p_joined AND m.over_since IS NOT NULL THEN 'tenant.within_seats' END;
    UPDATE public.seat_marks
       SET full_since = CASE WHEN p_joined AND p_used = p_allowed AND m.over_since IS NULL THEN v_now
                             WHEN p_used >= p_allowed THEN coalesce(m.full_since, v_now) END,
           over_since = CASE WHEN v_over THEN coalesce(m.over_since, v_now) WHEN p_joined THEN m.over_since END
     WHERE tenant_id = p_tenant;
    IF v_topic IS NULL THEN
        RETURN '{}';
    END IF;
    PERFORM fn.announce(p_tenant, NULL, p_request_id, jsonb_build_array(
        jsonb_build_object('topic', v_topic, 'used', p_used, 'seats', p_allowed)));
    RETURN ARRAY[v_topic];
END $$;

-- The same as seats_of for whoever has not entered the tenant, as a refused caller is told.
CREATE FUNCTION fn.seat_facts(p_tenant uuid, OUT plan text, OUT allowed integer, OUT used bigint) LANGUAGE plpgsql AS $$
DECLARE s record;
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    s := fn.seats_of(p_tenant);
    plan := s.plan;
    allowed := s.allowed;
    used := s.used;
END $$;

-- Takes the tenant's turn before several people are let in by one transaction, who would not be seen by others.
-- Locks: seats of the tenant.
CREATE FUNCTION fn.hold_seats(p_tenant uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('seats ' || p_tenant, 0));
END $$;

-- Whether one transaction may let so many people in, each by take_seat: any may where there is no limit, or where so many
-- seats are left afterwards that those who are under way by themselves can't take them all. Called before anybody is written.
-- Locks: seats of the tenant, if there is a limit, so that no two such transactions count on the same ones.
CREATE FUNCTION fn.has_seats_for(p_tenant uuid, p_people integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_most bigint := 64 + current_setting('max_connections')::integer + p_people;
BEGIN
    IF (SELECT free <= v_most FROM fn.seats_of(p_tenant)) THEN
        RETURN false;
    ELSIF (SELECT free IS NULL FROM fn.seats_of(p_tenant)) THEN
        RETURN true;
    END IF;
    PERFORM fn.hold_seats(p_tenant);
    RETURN (SELECT (free <= v_most) IS NOT TRUE FROM fn.seats_of(p_tenant));
END $$;
