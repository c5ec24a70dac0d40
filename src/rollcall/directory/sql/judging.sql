-- Everybody's role at once: who is alike in all that decides it, and what is done to many. Each statement is planned for as
-- many as it is given: by a plan for few, a hundred thousand would take minutes. Many ids are packed, sixteen bytes each, one
-- after the other: whoever hands them on has no use for each of them.

CREATE FUNCTION fn.unpacked(p_ids bytea) RETURNS SETOF uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(substr(p_ids, n, 16), 'hex')::uuid FROM generate_series(1, octet_length(p_ids), 16) n
$$;

-- The values of `roles` that people here have, each once.
CREATE FUNCTION fn.values_of_roles(p_tenant uuid) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT DISTINCT (document -> 'roles') FROM public.users WHERE tenant_id = p_tenant AND document ? 'roles'
$$;

-- People, put together where they have the same role state and their names mean the same. What a name means is a number,
-- worked out in Python (directory/judging.py): p_least and p_most are those of the names in each value of `roles`, p_means
-- those of the groups in p_groups. meaning: NULL where somebody has no name that counts, -1 where theirs contradict each other.
-- p_users: only these, or NULL for everybody, those who were removed too.
CREATE FUNCTION fn.people_alike(
    p_tenant uuid, p_roles jsonb[], p_least integer[], p_most integer[], p_groups uuid[], p_means integer[], p_users bytea
) RETURNS TABLE (role_state text, is_admin boolean, meaning integer, accounts bytea) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    WITH said AS MATERIALIZED (
        SELECT * FROM unnest(p_roles, p_least, p_most) s (roles, least, most)),
    counting AS MATERIALIZED (
        SELECT * FROM unnest(p_groups, p_means) c (group_id, means)),
    under AS MATERIALIZED (
        SELECT c.group_id, c.means FROM counting c
        UNION
        SELECT k.descendant_id, c.means FROM counting c
          JOIN public.group_closure k ON k.tenant_id = p_tenant AND k.ancestor_id = c.group_id),
    by_groups AS MATERIALIZED (
        SELECT m.user_id, min(u.means) AS least, max(u.means) AS most FROM under u
          JOIN public.group_users m ON m.tenant_id = p_tenant AND m.group_id = u.group_id GROUP BY m.user_id),
    people AS MATERIALIZED (
        SELECT a.id, a.role_state AS state, a.is_admin AS admin,
               least(s.least, g.least) AS least, greatest(s.most, g.most) AS most
          FROM public.accounts a
          LEFT JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
          LEFT JOIN said s ON s.roles = u.document -> 'roles'
          LEFT JOIN by_groups g ON g.user_id = u.id
          LEFT JOIN fn.unpacked(p_users) t (id) ON t.id = u.id
         WHERE a.tenant_id = p_tenant AND (p_users IS NULL OR t.id IS NOT NULL))
    SELECT p.state::text, p.admin, CASE WHEN p.least < p.most THEN -1 ELSE p.least END, string_agg(uuid_send(p.id), '')
      FROM people p GROUP BY p.state, p.admin, CASE WHEN p.least < p.most THEN -1 ELSE p.least END;
END $$;

-- Gives many people another role at once, as write_roles does.
-- Locks: the accounts, by id.
CREATE FUNCTION fn.give_roles(
    p_tenant uuid, p_request_id text, p_accounts bytea[], p_roles jsonb
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_ids uuid[] := ARRAY(SELECT fn.unpacked(packed) FROM unnest(p_accounts) packed);
BEGIN
    PERFORM FROM unnest(v_ids) i JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = i ORDER BY a.id FOR UPDATE OF a;
    PERFORM fn.write_roles(p_tenant, p_request_id, p_accounts, p_roles);
END $$;

-- Writes the roles of many people whose accounts are locked, and tells: each of p_accounts, packed, are those who get the role
-- in its place among p_roles, {role, is_admin, role_state, event}, with an event if the role is another. What they were until
-- now is kept here, for all of them together; the trigger note_change, which keeps it row by row, is told so.
CREATE FUNCTION fn.write_roles(
    p_tenant uuid, p_request_id text, p_accounts bytea[], p_roles jsonb
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_ids uuid[];
    v_places integer[];
BEGIN
    SELECT array_agg(id), array_agg(place) INTO v_ids, v_places
      FROM unnest(p_accounts) WITH ORDINALITY k (packed, place), fn.unpacked(k.packed) p (id);
    PERFORM set_config('rollcall.keeps_history', 'yes', true);
    WITH roles AS MATERIALIZED (
        SELECT g.place, g.given ->> 'role' AS role, (g.given ->> 'is_admin')::boolean AS is_admin,
               g.given -> 'role_state' AS role_state, g.given -> 'event' AS event
          FROM jsonb_array_elements(p_roles) WITH ORDINALITY g (given, place)),
    given AS (
        UPDATE public.accounts a SET role = r.role, is_admin = r.is_admin, role_state = r.role_state
          FROM unnest(v_ids, v_places) p (id, place) JOIN roles r ON r.place = p.place
         WHERE a.tenant_id = p_tenant AND a.id = p.id
        RETURNING a.id, r.event, old AS was, old.role <> new.role OR old.is_admin <> new.is_admin AS was_other),
    kept AS (
        INSERT INTO public.account_history (tenant_id, account_id, until_at, active, deactivated_at, role, is_admin)
        SELECT p_tenant, id, clock_timestamp(), (was).active, CASE WHEN NOT (was).active THEN (was).deactivated_at END,
               (was).role, (was).is_admin
          FROM given WHERE was_other
        ON CONFLICT DO NOTHING)  -- as the trigger has it
    INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, event ->> 'topic', id, p_request_id, event - 'topic' FROM given WHERE jsonb_typeof(event) = 'object';
    PERFORM set_config('rollcall.keeps_history', '', true);
END $$;

-- People by their accounts, locked, put together where all that decides their role is the same, and whether their names are in
-- an open case already: the accounts packed, and in their order who they are.
-- Locked first and read after it: a locking statement that had to wait shows the accounts as they are then, but the
-- documents beside them as they were before.
-- Locks: the accounts, by id.
CREATE FUNCTION fn.people_to_judge(p_tenant uuid, p_accounts uuid[], p_groups boolean) RETURNS TABLE (
    role_state text, is_admin boolean, roles text, groups text[], case_open boolean, unknown_open boolean,
    accounts bytea, users uuid[], user_names text[]
) LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    PERFORM FROM unnest(p_accounts) i JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = i ORDER BY a.id
      FOR UPDATE OF a;
    RETURN QUERY
    WITH people AS MATERIALIZED (
        SELECT a.id AS account_id, u.id AS user_id, a.user_name, a.role_state, a.is_admin, u.document -> 'roles' AS roles
          FROM unnest(p_accounts) i
          JOIN public.accounts a ON a.tenant_id = p_tenant AND a.id = i
          LEFT JOIN public.users u ON u.tenant_id = p_tenant AND u.account_id = a.id),
    direct AS MATERIALIZED (
        SELECT m.user_id, m.group_id FROM people p
          JOIN public.group_users m ON m.tenant_id = p_tenant AND m.user_id = p.user_id WHERE p_groups),
    reached AS (
        SELECT d.user_id, d.group_id FROM direct d
        UNION
        SELECT d.user_id, c.ancestor_id FROM direct d
          JOIN public.group_closure c ON c.tenant_id = p_tenant AND c.descendant_id = d.group_id),
    named AS (
        SELECT r.user_id, array_agg(g.display_name ORDER BY g.id) AS names FROM reached r
          JOIN public.groups g ON g.tenant_id = p_tenant AND g.id = r.group_id GROUP BY r.user_id),
    cases AS (
        SELECT c.user_id, array_agg(c.kind) AS kinds FROM people p
          JOIN public.conflict_cases c ON c.tenant_id = p_tenant AND c.user_id = p.user_id
         WHERE c.closed_at IS NULL AND c.stored GROUP BY c.user_id),
    said AS (
        SELECT p.account_id, p.user_id, p.user_name, p.role_state, p.is_admin, p.roles, n.names,
               coalesce('conflict' = ANY (k.kinds), false) AS conflicts,
               coalesce('unknown_role' = ANY (k.kinds), false) AS unknown
          FROM people p
          LEFT JOIN named n ON n.user_id = p.user_id
          LEFT JOIN cases k ON k.user_id = p.user_id)
    SELECT s.role_state::text, s.is_admin, s.roles::text, s.names, s.conflicts, s.unknown,
           string_agg(uuid_send(s.account_id), '' ORDER BY s.account_id), array_agg(s.user_id ORDER BY s.account_id),
           array_agg(s.user_name ORDER BY s.account_id)
      FROM said s GROUP BY s.role_state, s.is_admin, s.roles, s.names, s.conflicts, s.unknown;
END $$;

-- Puts down to whom a large change has still to be brought, beside those who are on the list already. Whoever calls holds
-- the role rule, exclusively.
CREATE FUNCTION fn.add_to_role_change(p_tenant uuid, p_request_id text, p_accounts bytea) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_added integer;
BEGIN
    IF p_accounts = '' THEN
        RETURN;
    END IF;
    INSERT INTO public.role_change_people (tenant_id, account_id)
    SELECT p_tenant, a FROM fn.unpacked(p_accounts) a ORDER BY a
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_added = ROW_COUNT;
    INSERT INTO public.role_changes AS c (tenant_id, request_id, people) VALUES (p_tenant, p_request_id, v_added)
    ON CONFLICT (tenant_id) DO UPDATE
       SET request_id = excluded.request_id, ended_at = NULL,
           people = CASE WHEN c.ended_at IS NULL THEN c.people + v_added ELSE v_added END,
           began_at = CASE WHEN c.ended_at IS NULL THEN c.began_at ELSE excluded.began_at END;
END $$;

-- Forgets to whom large changes had still to be brought: whoever calls judges everybody, and holds the role rule, exclusively.
CREATE FUNCTION fn.end_role_change(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM public.role_change_people WHERE tenant_id = p_tenant;
    UPDATE public.role_changes SET ended_at = clock_timestamp() WHERE tenant_id = p_tenant AND ended_at IS NULL
$$;

-- Takes up to p_limit people after p_after off the list; whoever brings the change to them does it in the same transaction,
-- or they are on it again. Those whom somebody else has taken are skipped. When there is nobody left, the change has ended.
-- Renews the lease, for p_seconds: whoever asks for what nobody is at skips the row until the transaction ends, which is at
-- once if its worker is killed. Of several at the same change one renews it.
-- Locks: the change, skipping it; the people on the list, skipping them.
CREATE FUNCTION fn.next_of_role_change(
    p_tenant uuid, p_after uuid, p_limit integer, p_seconds double precision
) RETURNS uuid[] LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET enable_bitmapscan = off SET enable_seqscan = off AS $$
DECLARE v_accounts uuid[];
BEGIN
    UPDATE public.role_changes SET leased_until = clock_timestamp() + make_interval(secs => p_seconds)
     WHERE tenant_id = (SELECT tenant_id FROM public.role_changes
                         WHERE tenant_id = p_tenant AND ended_at IS NULL FOR NO KEY UPDATE SKIP LOCKED);
    -- Two statements: as one, the list would be read to its end for each batch.
    SELECT coalesce(array_agg(account_id), '{}') INTO v_accounts FROM (
        SELECT account_id FROM public.role_change_people
         WHERE tenant_id = p_tenant AND account_id > p_after ORDER BY account_id LIMIT p_limit FOR UPDATE SKIP LOCKED) next;
    DELETE FROM public.role_change_people WHERE tenant_id = p_tenant AND account_id = ANY (v_accounts);
    IF v_accounts = '{}' THEN
        UPDATE public.role_changes SET ended_at = clock_timestamp()
         WHERE tenant_id = p_tenant AND ended_at IS NULL
           AND NOT EXISTS (SELECT FROM public.role_change_people WHERE tenant_id = p_tenant);
    END IF;
    RETURN v_accounts;
END $$;

-- Takes the next people off the list and locks them, as next_of_role_change and people_to_judge do.
CREATE FUNCTION fn.next_to_judge(
    p_tenant uuid, p_after uuid, p_limit integer, p_seconds double precision, p_groups boolean
) RETURNS TABLE (
    role_state text, is_admin boolean, roles text, groups text[], case_open boolean, unknown_open boolean,
    accounts bytea, users uuid[], user_names text[]
) LANGUAGE plpgsql AS $$
DECLARE v_accounts uuid[] := fn.next_of_role_change(p_tenant, p_after, p_limit, p_seconds);
BEGIN
    RETURN QUERY SELECT * FROM fn.people_to_judge(p_tenant, v_accounts, p_groups);
END $$;

-- Closes the cases of stored names that a change has ended: those of people who are not among the accounts in conflict after
-- it, or with a name that no role has. p_users: whose names it has changed, or NULL for everybody; of those, the cases of
-- refused changes too. Returns how many.
CREATE FUNCTION fn.close_cases_of_many(
    p_tenant uuid, p_conflicting bytea, p_unknown bytea, p_users bytea, p_because text
) RETURNS bigint LANGUAGE sql SET plan_cache_mode = force_custom_plan AS $$
    WITH concerned AS MATERIALIZED (
        SELECT 'conflict' AS kind, u.id FROM fn.unpacked(p_conflicting) a
          JOIN public.users u ON u.tenant_id = p_tenant AND u.account_id = a
        UNION ALL
        SELECT 'unknown_role', u.id FROM fn.unpacked(p_unknown) a
          JOIN public.users u ON u.tenant_id = p_tenant AND u.account_id = a),
    closed AS (
        UPDATE public.conflict_cases c SET closed_at = clock_timestamp(), closed_because = p_because
         WHERE c.tenant_id = p_tenant AND c.closed_at IS NULL AND (c.stored OR p_users IS NOT NULL)
           AND (p_users IS NULL OR c.user_id IN (SELECT fn.unpacked(p_users)))
           AND (c.kind, c.user_id) NOT IN (SELECT kind, id FROM concerned)
        RETURNING 1)
    SELECT count(*) FROM closed
$$;
