-- A prefixed name that no role has: a case of its own kind, that ends nobody's change, and a line in the ledger.

ALTER TABLE conflict_cases ADD COLUMN kind TEXT DEFAULT 'conflict' NOT NULL,
    ADD CONSTRAINT ck_conflict_cases_kind CHECK (kind IN ('conflict', 'unknown_role'));
DROP INDEX uq_conflict_cases_open;
CREATE UNIQUE INDEX uq_conflict_cases_open ON conflict_cases (tenant_id, user_name_key)
    WHERE closed_at IS NULL AND kind = 'conflict';
CREATE UNIQUE INDEX uq_conflict_cases_unknown_role ON conflict_cases (tenant_id, user_id)
    WHERE closed_at IS NULL AND kind = 'unknown_role';
CREATE INDEX ix_conflict_cases_user ON conflict_cases (tenant_id, user_id) WHERE closed_at IS NULL;
-- An edit of the role rule counts the names that are unknown by it.
GRANT INSERT, UPDATE ON deviations TO rollcall_runtime;

-- Opens a role conflict's case, or counts it again. With p_stored the names that conflict are what is stored of the
-- person; without, they are what a refused change asked for.
CREATE OR REPLACE FUNCTION open_case(p_tenant uuid, p_user uuid, p_case jsonb, p_stored boolean DEFAULT false) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO conflict_cases (tenant_id, user_id, user_name_key, user_name, roles, names, detail, stored)
    VALUES (p_tenant, p_user, p_case ->> 'user_name_key', p_case ->> 'user_name',
            ARRAY(SELECT jsonb_array_elements_text(p_case -> 'roles')), p_case -> 'names', p_case ->> 'detail',
            p_stored)
    ON CONFLICT (tenant_id, user_name_key) WHERE closed_at IS NULL AND kind = 'conflict' DO UPDATE
       SET last_seen = clock_timestamp(), times = conflict_cases.times + 1, roles = excluded.roles,
           names = excluded.names, detail = excluded.detail, stored = conflict_cases.stored OR excluded.stored,
           user_id = coalesce(excluded.user_id, conflict_cases.user_id)
$$;

-- Closes the person's open cases: all, or only those of stored names ('{t}') or that of a refused change ('{f}').
-- A case of an unknown name is always of stored ones, and is found by the person alone.
CREATE OR REPLACE FUNCTION close_cases(
    p_tenant uuid, p_user uuid, p_user_name_key text, p_because text, p_stored boolean[] DEFAULT '{t,f}'
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE v_closed integer;
BEGIN
    UPDATE conflict_cases SET closed_at = clock_timestamp(), closed_because = p_because
     WHERE tenant_id = p_tenant AND closed_at IS NULL AND stored = ANY (p_stored)
       AND (user_id = p_user OR (kind = 'conflict' AND user_name_key = p_user_name_key));
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    RETURN v_closed;
END $$;

-- Opens the case of a person whose stored names hold one that no role has, and tells; where it is open already it says
-- which names they are now. Returns whether it was opened. Whoever calls holds the person's account.
CREATE FUNCTION open_unknown_role(
    p_tenant uuid, p_user uuid, p_account uuid, p_request_id text, p_case jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_opened boolean;
BEGIN
    INSERT INTO conflict_cases AS k (tenant_id, user_id, user_name_key, user_name, roles, names, detail, stored, kind)
    VALUES (p_tenant, p_user, p_case ->> 'user_name_key', p_case ->> 'user_name', '{}', p_case -> 'names',
            p_case ->> 'detail', true, 'unknown_role')
    ON CONFLICT (tenant_id, user_id) WHERE closed_at IS NULL AND kind = 'unknown_role' DO UPDATE
       SET last_seen = clock_timestamp(), times = k.times + (k.names <> excluded.names)::integer, names = excluded.names,
           detail = excluded.detail, user_name = excluded.user_name, user_name_key = excluded.user_name_key
     WHERE (k.names, k.detail, k.user_name) <> (excluded.names, excluded.detail, excluded.user_name)
    RETURNING xmax = 0 INTO v_opened;
    IF v_opened THEN
        PERFORM announce(p_tenant, p_account, p_request_id, jsonb_build_array(jsonb_build_object(
            'topic', 'unknown_role.opened',
            'names', (SELECT jsonb_agg(DISTINCT n -> 'name') FROM jsonb_array_elements(p_case -> 'names') n))));
    END IF;
    RETURN coalesce(v_opened, false);
END $$;

-- Counts in the ledger, for today, how often each of these habits was met: {habit: times}. In the order in which
-- everybody counts there.
CREATE FUNCTION count_unknown_roles(p_tenant uuid, p_habits jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO deviations (tenant_id, day, habit, times)
    SELECT p_tenant, (statement_timestamp() AT TIME ZONE 'UTC')::date, key, value::integer
      FROM jsonb_each_text(p_habits) ORDER BY key
    ON CONFLICT (tenant_id, day, habit) DO UPDATE SET times = deviations.times + excluded.times
$$;

-- Gives many people what an edited role rule makes of their names, a few statements for all of them: their roles, the
-- cases of those whose names conflict by it, or are unknown by it, and the events. p_people: {account_id, role, is_admin,
-- standing, events, user_id, case, unknown}; account_id stands alone with them where the role stays as it was.
CREATE OR REPLACE FUNCTION bring_rule(p_tenant uuid, p_request_id text, p_people jsonb) RETURNS void LANGUAGE sql AS $$
    UPDATE accounts a SET role = p.role, is_admin = p.is_admin, standing = p.standing
      FROM jsonb_to_recordset(p_people) p (account_id uuid, role text, is_admin boolean, standing jsonb)
     WHERE a.tenant_id = p_tenant AND a.id = p.account_id AND p.role IS NOT NULL;
    SELECT open_case(p_tenant, p.user_id, p.case, true)
      FROM jsonb_to_recordset(p_people) p (user_id uuid, "case" jsonb) WHERE p.case IS NOT NULL;
    SELECT open_unknown_role(p_tenant, p.user_id, p.account_id, p_request_id, p.unknown)
      FROM jsonb_to_recordset(p_people) p (account_id uuid, user_id uuid, unknown jsonb) WHERE p.unknown IS NOT NULL;
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p.account_id, p_request_id, e - 'topic'
      FROM jsonb_to_recordset(p_people) p (account_id uuid, events jsonb), jsonb_array_elements(p.events) e;
$$;

-- What an accepted change means for the person's cases. The names now stored conflict by it: that case is opened
-- (`case`). They did before and still do: it stays as it is (`keep_case`). Else what is stored has no conflict, and the
-- case of stored names closes; that of a refused change closes too unless this one says nothing of role names
-- (`about_roles` is false), so that the provider wants no less than it did. A name that no role has opens its own kind of
-- case (`unknown`), and without one that closes; in the same statement as the others, for all who never had any.
-- Returns the events that it made.
DROP FUNCTION settle_cases;
CREATE FUNCTION settle_cases(p_tenant uuid, p_user uuid, p_account uuid, p_request_id text, p_change jsonb)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_stored boolean[] := CASE WHEN (p_change ->> 'about_roles')::boolean IS FALSE THEN '{t}' ELSE '{t,f}' END;
    v_events text[];
BEGIN
    IF p_change -> 'keep_case' IS NOT NULL THEN
        RETURN '{}';
    END IF;
    IF p_change -> 'case' IS NOT NULL THEN
        PERFORM open_case(p_tenant, p_user, p_change -> 'case', true);
        UPDATE conflict_cases SET closed_at = clock_timestamp(), closed_because = 'the names conflict now'
         WHERE tenant_id = p_tenant AND closed_at IS NULL AND user_id = p_user AND kind = 'unknown_role';
        RETURN CASE WHEN FOUND THEN ARRAY['unknown_role.closed'] ELSE '{}' END;
    END IF;
    WITH closed AS (
        UPDATE conflict_cases SET closed_at = clock_timestamp(), closed_because = 'the cause is gone'
         WHERE tenant_id = p_tenant AND closed_at IS NULL AND stored = ANY (v_stored)
           AND (user_id = p_user OR (kind = 'conflict' AND user_name_key = p_change ->> 'user_name_key'))
           AND (kind = 'conflict' OR NOT p_change ? 'unknown') RETURNING kind)
    SELECT coalesce(array_agg(DISTINCT kind || '.closed'), '{}') INTO v_events FROM closed;
    IF p_change ? 'unknown' AND open_unknown_role(p_tenant, p_user, p_account, p_request_id, p_change -> 'unknown') THEN
        v_events := v_events || ARRAY['unknown_role.opened'];
    END IF;
    RETURN v_events;
END $$;

CREATE OR REPLACE FUNCTION scim_create_user(p_tenant uuid, p_token uuid, p_digest bytea, p_change jsonb, p_call jsonb)
RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    c change_result;
    f accounts;
    v_external text := p_change ->> 'external_id';
    v_events text[];
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
    -- Worked out by the role rule, and by what a process remembers, which are what is asked here; the rule before the
    -- account, as whoever edits it holds it and wants all accounts.
    IF held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer
       OR p_change -> 'remembered' <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF v_external IS NOT NULL THEN
        PERFORM hold_external_id(p_tenant, v_external);
        -- The former account that a new resource with this externalId belongs to.
        SELECT * INTO f FROM accounts
         WHERE tenant_id = p_tenant AND external_id = v_external AND detached_at IS NOT NULL
         ORDER BY detached_at DESC LIMIT 1 FOR UPDATE;
        IF f.id IS DISTINCT FROM (p_change ->> 'account_id')::uuid
           OR (f.id IS NOT NULL AND f.standing <> p_change -> 'former_standing') THEN
            c.verdict := 'former';
            c.account_id := f.id;
            c.standing := f.standing::text;
            RETURN c;
        END IF;
    END IF;
    -- Whoever takes the name between this look and the insert makes the statement fail, and it is run again.
    SELECT s.id, CASE WHEN NOT s.active THEN 'inactive' END INTO c.id, c.reason
      FROM users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_change ->> 'user_name_key';
    IF FOUND THEN
        c.verdict := 'uniqueness';
        PERFORM audit_call(p_tenant, g, p_token, p_call, 'refused', 409, 'userName is taken', '{}', NULL,
                           p_change ->> 'user_name');
        RETURN c;
    END IF;
    c := write_new_user(p_tenant, p_change);
    v_events := event_names(p_change)
        || settle_cases(p_tenant, c.id, c.account_id, p_call ->> 'request_id', p_change);
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', 201, NULL, v_events, c.account_id, c.id::text);
    RETURN c;
END $$;

CREATE OR REPLACE FUNCTION scim_save_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_change jsonb, p_call jsonb
) RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    c change_result;
    v_status integer;
    v_cases text[] := '{}';
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
    BEGIN
        c := write_user(p_tenant, p_user, p_change);
        IF c.verdict = 'done' THEN
            v_cases := settle_cases(p_tenant, p_user, c.account_id, p_call ->> 'request_id', p_change);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        c := NULL;
        v_cases := '{}';
        SELECT s.id, CASE WHEN NOT s.active THEN 'inactive' END INTO c.id, c.reason
          FROM users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_change ->> 'user_name_key';
        c.verdict := 'uniqueness';
    END;
    IF c.verdict = 'stale' THEN
        RETURN c;
    END IF;
    v_status := CASE c.verdict WHEN 'done' THEN 200 WHEN 'uniqueness' THEN 409 ELSE 404 END;
    PERFORM audit_call(p_tenant, g, p_token, p_call, CASE v_status WHEN 200 THEN 'done' ELSE 'refused' END, v_status,
        CASE c.verdict WHEN 'done' THEN c.reason WHEN 'uniqueness' THEN 'userName is taken' ELSE 'not found' END,
        CASE v_status WHEN 200 THEN event_names(p_change) ELSE '{}' END
            || CASE WHEN v_status = 200 AND c.reason IS NOT NULL THEN ARRAY['user.deactivated'] ELSE '{}' END
            || v_cases,
        c.account_id, p_user::text);
    RETURN c;
END $$;

-- Gives the touched people the roles that were worked out for them, opens and closes their cases, and tells.
-- p_people: {account_id, user_id, user_name_key, role, is_admin, standing, events, case?, unknown?}.
CREATE OR REPLACE FUNCTION scim_settle(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_people jsonb, p_group uuid, p_event jsonb, p_call jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    p jsonb;
    g gate_result;
    v_events text[] := '{}';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    FOR p IN SELECT jsonb_array_elements(p_people) LOOP
        UPDATE accounts
           SET role = p ->> 'role', is_admin = (p ->> 'is_admin')::boolean, standing = p -> 'standing',
               facts = facts + 1
         WHERE tenant_id = p_tenant AND id = (p ->> 'account_id')::uuid;
        PERFORM announce(p_tenant, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p -> 'events');
        v_events := v_events || event_names(p)
            || settle_cases(p_tenant, (p ->> 'user_id')::uuid, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p);
    END LOOP;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer, NULL,
                        ARRAY[p_event ->> 'topic'] || ARRAY(SELECT DISTINCT unnest(v_events)), NULL, p_group::text);
    PERFORM announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(p_event));
END $$;
