-- The way back: the functions as the foundation has them, and no case of an unknown role name.

REVOKE INSERT, UPDATE ON deviations FROM rollcall_runtime;
DROP FUNCTION count_unknown_roles, open_unknown_role;
DROP FUNCTION settle_cases;
DROP INDEX uq_conflict_cases_unknown_role, uq_conflict_cases_open, ix_conflict_cases_user;
DELETE FROM conflict_cases WHERE kind = 'unknown_role';
ALTER TABLE conflict_cases DROP COLUMN kind;
CREATE UNIQUE INDEX uq_conflict_cases_open ON conflict_cases (tenant_id, user_name_key) WHERE closed_at IS NULL;

-- What an accepted change means for the person's case. The names now stored conflict by it: it is opened (`case`).
-- They did before and still do: it stays as it is (`keep_case`). Else what is stored has no conflict, and the case of
-- stored names closes; that of a refused change closes too unless this one says nothing of role names (`about_roles`
-- is false), so that the provider wants no less than it did. Returns how many were closed.
CREATE FUNCTION settle_cases(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF p_change -> 'case' IS NOT NULL THEN
        PERFORM open_case(p_tenant, p_user, p_change -> 'case', true);
        RETURN 0;
    END IF;
    IF p_change -> 'keep_case' IS NOT NULL THEN
        RETURN 0;
    END IF;
    RETURN close_cases(p_tenant, p_user, p_change ->> 'user_name_key', 'the cause is gone',
                       CASE WHEN (p_change ->> 'about_roles')::boolean IS FALSE THEN '{t}' ELSE '{t,f}' END::boolean[]);
END $$;

-- Opens a role conflict's case, or counts it again. With p_stored the names that conflict are what is stored of the
-- person; without, they are what a refused change asked for.
CREATE OR REPLACE FUNCTION open_case(p_tenant uuid, p_user uuid, p_case jsonb, p_stored boolean DEFAULT false) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO conflict_cases (tenant_id, user_id, user_name_key, user_name, roles, names, detail, stored)
    VALUES (p_tenant, p_user, p_case ->> 'user_name_key', p_case ->> 'user_name',
            ARRAY(SELECT jsonb_array_elements_text(p_case -> 'roles')), p_case -> 'names', p_case ->> 'detail',
            p_stored)
    ON CONFLICT (tenant_id, user_name_key) WHERE closed_at IS NULL DO UPDATE
       SET last_seen = clock_timestamp(), times = conflict_cases.times + 1, roles = excluded.roles,
           names = excluded.names, detail = excluded.detail, stored = conflict_cases.stored OR excluded.stored,
           user_id = coalesce(excluded.user_id, conflict_cases.user_id)
$$;

-- Closes the person's open case: of either kind, or only that of stored names ('{t}') or of a refused change ('{f}').
CREATE OR REPLACE FUNCTION close_cases(
    p_tenant uuid, p_user uuid, p_user_name_key text, p_because text, p_stored boolean[] DEFAULT '{t,f}'
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE v_closed integer;
BEGIN
    UPDATE conflict_cases SET closed_at = clock_timestamp(), closed_because = p_because
     WHERE tenant_id = p_tenant AND closed_at IS NULL AND stored = ANY (p_stored)
       AND (user_id = p_user OR user_name_key = p_user_name_key);
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    RETURN v_closed;
END $$;

-- Gives many people what an edited role rule makes of their names, a few statements for all of them: their roles, the
-- cases of those whose names conflict by it, and the events. p_people: {account_id, role, is_admin, standing, events,
-- user_id and case}; account_id stands alone with them where the role stays as it was.
CREATE OR REPLACE FUNCTION bring_rule(p_tenant uuid, p_request_id text, p_people jsonb) RETURNS void LANGUAGE sql AS $$
    UPDATE accounts a SET role = p.role, is_admin = p.is_admin, standing = p.standing
      FROM jsonb_to_recordset(p_people) p (account_id uuid, role text, is_admin boolean, standing jsonb)
     WHERE a.tenant_id = p_tenant AND a.id = p.account_id AND p.role IS NOT NULL;
    SELECT open_case(p_tenant, p.user_id, p.case, true)
      FROM jsonb_to_recordset(p_people) p (user_id uuid, "case" jsonb) WHERE p.case IS NOT NULL;
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p.account_id, p_request_id, e - 'topic'
      FROM jsonb_to_recordset(p_people) p (account_id uuid, events jsonb), jsonb_array_elements(p.events) e;
$$;

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
    IF EXISTS (SELECT FROM users WHERE tenant_id = p_tenant AND user_name_key = p_change ->> 'user_name_key') THEN
        c.verdict := 'uniqueness';
        PERFORM audit_call(p_tenant, g, p_token, p_call, 'refused', 409, 'userName is taken', '{}', NULL,
                           p_change ->> 'user_name');
        RETURN c;
    END IF;
    c := write_new_user(p_tenant, p_change);
    v_events := event_names(p_change);
    IF settle_cases(p_tenant, c.id, p_change) > 0 THEN
        v_events := v_events || ARRAY['conflict.closed'];
    END IF;
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
    v_cases integer := 0;
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
            v_cases := settle_cases(p_tenant, p_user, p_change);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        c := NULL;
        c.verdict := 'uniqueness';
    END;
    IF c.verdict = 'stale' THEN
        RETURN c;
    END IF;
    v_status := CASE c.verdict WHEN 'done' THEN 200 WHEN 'uniqueness' THEN 409 ELSE 404 END;
    PERFORM audit_call(p_tenant, g, p_token, p_call, CASE v_status WHEN 200 THEN 'done' ELSE 'refused' END, v_status,
        CASE c.verdict WHEN 'done' THEN c.reason WHEN 'uniqueness' THEN 'userName is taken' ELSE 'not found' END,
        CASE v_status WHEN 200 THEN event_names(p_change) ELSE '{}' END
            || CASE WHEN c.reason IS NOT NULL THEN ARRAY['user.deactivated'] ELSE '{}' END
            || CASE WHEN v_cases > 0 THEN ARRAY['conflict.closed'] ELSE '{}' END,
        c.account_id, p_user::text);
    RETURN c;
END $$;

-- Gives the touched people the roles that were worked out for them, opens and closes their cases, and tells.
-- p_people: {account_id, user_id, user_name_key, role, is_admin, standing, events, case?, keep_case?}.
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
        PERFORM settle_cases(p_tenant, (p ->> 'user_id')::uuid, p);
        PERFORM announce(p_tenant, (p ->> 'account_id')::uuid, p_call ->> 'request_id', p -> 'events');
        v_events := v_events || event_names(p);
    END LOOP;
    g.token_label := p_label;
    g.owner_id := p_owner;
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', (p_call ->> 'status')::integer, NULL,
                        ARRAY[p_event ->> 'topic'] || ARRAY(SELECT DISTINCT unnest(v_events)), NULL, p_group::text);
    PERFORM announce(p_tenant, NULL, p_call ->> 'request_id', jsonb_build_array(p_event));
END $$;
