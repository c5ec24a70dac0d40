-- Users: each SCIM call on a person is one or two statements. The first (scim_admit, scim_find, scim_page) passes the
-- gate and brings what is stored; the second (scim_create_user, scim_save_user, scim_delete_user) passes the gate
-- again and applies a change that was worked out from what the first one brought, or answers `stale`.

CREATE TYPE user_result AS (
    verdict text, token_label text, owner_id uuid, plan text, reason text, rate integer, burst integer, profile text,
    rule text, rule_version integer,
    id uuid, account_id uuid, document text, version integer, created_at timestamptz, last_modified timestamptz,
    active boolean, standing text, facts integer, groups text, total bigint
);

CREATE FUNCTION opened(g gate_result) RETURNS user_result LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (g.verdict, g.token_label, g.owner_id, g.plan, g.reason, g.rate, g.burst, g.profile,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::user_result;
END $$;

-- Passes the gate and brings the person, if one is named. With p_lock the rows stay locked until the caller's
-- transaction ends, so that the save that follows can't be stale.
CREATE FUNCTION scim_admit(
    p_tenant uuid, p_token uuid, p_digest bytea, p_needs text, p_user uuid, p_lock boolean, p_base text
) RETURNS user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
BEGIN
    g := gate(p_tenant, p_token, p_digest, p_needs);
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF p_needs = 'write' THEN
        u.rule := g.rule::text;
        u.rule_version := g.rule_version;
    END IF;
    IF p_user IS NULL THEN
        RETURN u;
    END IF;
    IF p_lock THEN
        PERFORM FROM tenants WHERE id = p_tenant FOR SHARE;
        PERFORM FROM accounts a JOIN users s ON s.tenant_id = a.tenant_id AND s.account_id = a.id
          WHERE s.tenant_id = p_tenant AND s.id = p_user FOR UPDATE;
        SELECT role_rule::text, role_rule_version INTO u.rule, u.rule_version FROM tenants WHERE id = p_tenant;
    END IF;
    IF p_needs = 'write' THEN  -- before the groups: whoever moves between the two is noticed by `facts`
        SELECT a.standing::text, a.facts INTO u.standing, u.facts
          FROM users s JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
         WHERE s.tenant_id = p_tenant AND s.id = p_user;
    END IF;
    SELECT s.id, s.account_id, s.document::text, s.version, s.created_at, s.last_modified, s.active
      INTO u.id, u.account_id, u.document, u.version, u.created_at, u.last_modified, u.active
      FROM users s WHERE s.tenant_id = p_tenant AND s.id = p_user;
    u.groups := groups_of(p_tenant, u.id, p_base);
    RETURN u;
END $$;

-- Passes the gate and says which person the token's owner is; id is NULL for a token of the tenant's own.
CREATE FUNCTION scim_me(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS user_result
LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
BEGIN
    g := gate(p_tenant, p_token, p_digest, p_needs);
    u := opened(g);
    IF g.verdict = 'ok' THEN
        SELECT s.id INTO u.id FROM users s WHERE s.tenant_id = p_tenant AND s.account_id = g.owner_id;
    END IF;
    RETURN u;
END $$;

-- The look-up providers make before every create and all day: who has this userName.
CREATE FUNCTION scim_find_user_name(p_tenant uuid, p_token uuid, p_digest bytea, p_value text, p_base text)
RETURNS user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'read');
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    SELECT s.id, s.document::text, s.version, s.created_at, s.last_modified
      INTO u.id, u.document, u.version, u.created_at, u.last_modified
      FROM users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_value;
    u.total := FOUND::integer;
    u.groups := groups_of(p_tenant, u.id, p_base);
    RETURN u;
END $$;

-- The other look-ups: one comparison with one indexed attribute.
-- Always at least one row: the gate's verdict, with id NULL when nobody was found.
CREATE FUNCTION scim_find(
    p_tenant uuid, p_token uuid, p_digest bytea, p_attribute text, p_value text, p_offset integer, p_count integer,
    p_base text
) RETURNS SETOF user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
    v_ids uuid[];
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'read');
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN NEXT u;
        RETURN;
    END IF;
    v_ids := CASE p_attribute
        WHEN 'userName' THEN ARRAY(
            SELECT id FROM users WHERE tenant_id = p_tenant AND user_name_key = p_value)
        WHEN 'id' THEN ARRAY(
            SELECT id FROM users WHERE tenant_id = p_tenant AND id = p_value::uuid)
        WHEN 'externalId' THEN ARRAY(
            SELECT id FROM users WHERE tenant_id = p_tenant AND external_id = p_value ORDER BY id)
        WHEN 'emails.value' THEN ARRAY(
            SELECT user_id FROM user_emails WHERE tenant_id = p_tenant AND value_key = p_value ORDER BY user_id)
    END;
    u.total := cardinality(v_ids);
    FOR u.id, u.document, u.version, u.created_at, u.last_modified, u.groups IN
        SELECT s.id, s.document::text, s.version, s.created_at, s.last_modified, groups_of(p_tenant, s.id, p_base)
          FROM users s
         WHERE s.tenant_id = p_tenant AND s.id = ANY (v_ids) ORDER BY s.id OFFSET p_offset LIMIT p_count
    LOOP
        RETURN NEXT u;
    END LOOP;
    IF NOT FOUND THEN
        RETURN NEXT u;
    END IF;
END $$;

-- How many people there are is kept, so that a page need not count them: each connection keeps its own part of the
-- sum, or everybody who creates somebody would wait for the one row.
CREATE FUNCTION count_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_counts AS kept (tenant_id, part, people)
    SELECT tenant_id, pg_backend_pid() % 32, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
      FROM changed GROUP BY tenant_id
    ON CONFLICT (tenant_id, part) DO UPDATE SET people = kept.people + excluded.people;
    RETURN NULL;
END $$;
CREATE TRIGGER count_created AFTER INSERT ON users REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_people();
CREATE TRIGGER count_removed AFTER DELETE ON users REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_people();

CREATE FUNCTION people_in(p_tenant uuid) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT coalesce(sum(people), 0)::bigint FROM user_counts WHERE tenant_id = p_tenant $$;

-- A page of everybody, in the order they were created: a row with the gate's verdict and the total, then the people.
CREATE FUNCTION scim_page(
    p_tenant uuid, p_token uuid, p_digest bytea, p_offset integer, p_count integer, p_base text
) RETURNS SETOF user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
    v_ids uuid[];
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'read');
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN NEXT u;
        RETURN;
    END IF;
    u.total := people_in(p_tenant);
    RETURN NEXT u;
    -- Nothing of the people passed over is worked out, and they are passed over from the nearer end.
    IF p_offset <= u.total / 2 THEN
        v_ids := ARRAY(SELECT id FROM users WHERE tenant_id = p_tenant ORDER BY id OFFSET p_offset LIMIT p_count);
    ELSE
        v_ids := ARRAY(SELECT id FROM users WHERE tenant_id = p_tenant ORDER BY id DESC
                       OFFSET greatest(u.total - p_offset - p_count, 0)
                       LIMIT greatest(least(u.total - p_offset, p_count), 0));
    END IF;
    RETURN QUERY
        SELECT NULL::text, NULL::text, NULL::uuid, NULL::text, NULL::text, NULL::integer, NULL::integer, NULL::text,
               NULL::text, NULL::integer, s.id, NULL::uuid, s.document::text, s.version, s.created_at, s.last_modified,
               NULL::boolean, NULL::text, NULL::integer, theirs.groups, NULL::bigint
          FROM users s LEFT JOIN groups_of_each(p_tenant, v_ids, p_base) theirs ON theirs.user_id = s.id
         WHERE s.tenant_id = p_tenant AND s.id = ANY (v_ids) ORDER BY s.id;
END $$;

-- Opens a role conflict's case, or counts it again. With p_stored the names that conflict are what is stored of the
-- person; without, they are what a refused change asked for.
CREATE FUNCTION open_case(p_tenant uuid, p_user uuid, p_case jsonb, p_stored boolean DEFAULT false) RETURNS void
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
CREATE FUNCTION close_cases(
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

-- Writes down a call that changed nothing: refused, or asking for what is so already. p_case is a case to open, or
-- {"taken_back": the person's user_name_key} when the call asks for the role names that are stored: whatever another
-- one wanted instead and was refused, it no longer does.
CREATE FUNCTION scim_note(
    p_tenant uuid, p_token uuid, p_owner uuid, p_label text, p_call jsonb, p_outcome text, p_status integer,
    p_detail text, p_user uuid, p_case jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    v_events text[] := '{}';
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    g.token_label := p_label;
    g.owner_id := p_owner;
    IF p_case ? 'taken_back' THEN
        IF close_cases(p_tenant, p_user, p_case ->> 'taken_back', 'the cause is gone', '{f}') > 0 THEN
            v_events := '{conflict.closed}';
        END IF;
    ELSIF p_case IS NOT NULL THEN
        PERFORM open_case(p_tenant, p_user, p_case);
        v_events := '{conflict.opened}';
    END IF;
    PERFORM audit_call(p_tenant, g, p_token, p_call, p_outcome, p_status, p_detail, v_events,
        (SELECT account_id FROM users WHERE tenant_id = p_tenant AND id = p_user),
        coalesce(p_user::text, p_case ->> 'user_name'));
END $$;

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

-- Hands events to the outbox.
CREATE FUNCTION announce(p_tenant uuid, p_account uuid, p_request_id text, p_events jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p_account, p_request_id, e - 'topic' FROM jsonb_array_elements(p_events) e;
END $$;

-- Gives many people what an edited role rule makes of their names, a few statements for all of them: their roles, the
-- cases of those whose names conflict by it, and the events. p_people: {account_id, role, is_admin, standing, events,
-- user_id and case}; account_id stands alone with them where the role stays as it was.
CREATE FUNCTION bring_rule(p_tenant uuid, p_request_id text, p_people jsonb) RETURNS void LANGUAGE sql AS $$
    UPDATE accounts a SET role = p.role, is_admin = p.is_admin, standing = p.standing
      FROM jsonb_to_recordset(p_people) p (account_id uuid, role text, is_admin boolean, standing jsonb)
     WHERE a.tenant_id = p_tenant AND a.id = p.account_id AND p.role IS NOT NULL;
    SELECT open_case(p_tenant, p.user_id, p.case, true)
      FROM jsonb_to_recordset(p_people) p (user_id uuid, "case" jsonb) WHERE p.case IS NOT NULL;
    INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)
    SELECT p_tenant, e ->> 'topic', p.account_id, p_request_id, e - 'topic'
      FROM jsonb_to_recordset(p_people) p (account_id uuid, events jsonb), jsonb_array_elements(p.events) e;
$$;

CREATE TYPE change_result AS (
    verdict text,            -- the gate's, or: done, stale, former, uniqueness, not_found
    token_label text, owner_id uuid, plan text, reason text,
    id uuid, account_id uuid, version integer, created_at timestamptz, last_modified timestamptz, standing text
);

-- Whether a person is no longer as a conditional call knew them. p_seen: version, groups (the text of groups_of) and base.
CREATE FUNCTION moved_on(p_tenant uuid, p_user uuid, p_seen jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM users WHERE tenant_id = p_tenant AND id = p_user
                   AND version <> (p_seen ->> 'version')::integer)
        OR groups_of(p_tenant, p_user, p_seen ->> 'base') IS DISTINCT FROM p_seen ->> 'groups';
END $$;

-- The version of the tenant's role rule, which is not edited before the transaction ends. An advisory lock, because many
-- hold it at the same moment: in the tenant's row each of them would write down all the others.
CREATE FUNCTION held_rule_version(p_tenant uuid) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('role rule ' || p_tenant, 0));
    RETURN (SELECT role_rule_version FROM tenants WHERE id = p_tenant);
END $$;

-- Waits for all who hold the version, so that it can be edited.
CREATE FUNCTION hold_rule(p_tenant uuid) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('role rule ' || p_tenant, 0))
$$;

-- The rows of a person, written by every surface. p_change: user_name, user_name_key, external_id, display_name_key,
-- active, document, emails (keys), role, is_admin, standing, events, request_id, arrived_at, reason, and
-- account_id when a former account is taken up again. Whoever calls holds the role rule.
CREATE FUNCTION write_new_user(p_tenant uuid, p_change jsonb) RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    c change_result;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_external text := p_change ->> 'external_id';
BEGIN
    c.id := uuidv7();
    c.account_id := coalesce((p_change ->> 'account_id')::uuid, c.id);
    IF p_change ->> 'account_id' IS NULL THEN
        INSERT INTO accounts (tenant_id, id, user_name, external_id, active, role, is_admin, standing)
        VALUES (p_tenant, c.account_id, p_change ->> 'user_name', v_external, v_active, p_change ->> 'role',
                (p_change ->> 'is_admin')::boolean, p_change -> 'standing');
    ELSE
        UPDATE accounts
           SET user_name = p_change ->> 'user_name', external_id = v_external, active = v_active, detached_at = NULL,
               deactivated_at = CASE WHEN NOT v_active THEN deactivated_at END,
               deactivated_because = CASE WHEN NOT v_active THEN deactivated_because END,
               role = p_change ->> 'role', is_admin = (p_change ->> 'is_admin')::boolean,
               standing = p_change -> 'standing'
         WHERE tenant_id = p_tenant AND id = c.account_id;
    END IF;
    INSERT INTO users (tenant_id, id, account_id, user_name_key, external_id, display_name_key, active, document,
                       created_at, last_modified)
    VALUES (p_tenant, c.id, c.account_id, p_change ->> 'user_name_key', v_external, p_change ->> 'display_name_key',
            v_active, p_change -> 'document', statement_timestamp(), statement_timestamp())
    RETURNING version, created_at, last_modified INTO c.version, c.created_at, c.last_modified;
    INSERT INTO user_emails (tenant_id, user_id, value_key)
    SELECT p_tenant, c.id, e FROM jsonb_array_elements_text(p_change -> 'emails') e ON CONFLICT DO NOTHING;
    PERFORM announce(p_tenant, c.account_id, p_change ->> 'request_id', p_change -> 'events');
    c.verdict := 'done';
    RETURN c;
END $$;

CREATE FUNCTION event_names(p_change jsonb) RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT coalesce(array_agg(e ->> 'topic'), '{}') FROM jsonb_array_elements(p_change -> 'events') e $$;

-- Makes a creation and a removal under one externalId take turns, so that the one sees the account the other leaves.
CREATE FUNCTION hold_external_id(p_tenant uuid, p_external_id text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_external_id, 0) # hashtextextended('externalId ' || p_tenant, 0))
$$;

CREATE FUNCTION scim_create_user(p_tenant uuid, p_token uuid, p_digest bytea, p_change jsonb, p_call jsonb)
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

-- Makes these a person's addresses, by their keys.
CREATE FUNCTION write_emails(p_tenant uuid, p_user uuid, p_keys jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM user_emails WHERE tenant_id = p_tenant AND user_id = p_user AND NOT p_keys ? value_key;
    INSERT INTO user_emails (tenant_id, user_id, value_key)
    SELECT p_tenant, p_user, e FROM jsonb_array_elements_text(p_keys) e ON CONFLICT DO NOTHING;
END $$;

-- Applies a change to an existing person, by every surface; the account and the user are locked in this order.
-- p_change as for write_new_user, with version and was_standing as they were when the change was worked out; with seen
-- (see moved_on) when it depends on more.
CREATE FUNCTION write_user(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    c change_result;
    a accounts;
    v_version integer;
    v_rule_version integer;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_left jsonb;
BEGIN
    SELECT o.* INTO a FROM users s JOIN accounts o ON o.tenant_id = s.tenant_id AND o.id = s.account_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user FOR UPDATE OF o;
    c.account_id := a.id;
    SELECT s.version, s.created_at, n.role_rule_version INTO v_version, c.created_at, v_rule_version
      FROM users s JOIN tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user FOR NO KEY UPDATE OF s;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
        RETURN c;
    END IF;
    IF v_version <> (p_change ->> 'version')::integer OR a.standing <> p_change -> 'was_standing'
       OR a.facts <> (p_change ->> 'facts')::integer
       OR (p_change ? 'seen' AND moved_on(p_tenant, p_user, p_change -> 'seen'))
       OR v_rule_version <> (p_change ->> 'rule_version')::integer THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF a.active AND NOT v_active THEN
        v_left := leave(p_tenant, a.id, p_change ->> 'reason', p_change ->> 'request_id',
                        (p_change ->> 'arrived_at')::timestamptz);
        c.reason := v_left::text;
    ELSIF v_active AND NOT a.active THEN
        UPDATE accounts SET active = true, deactivated_at = NULL, deactivated_because = NULL
         WHERE tenant_id = p_tenant AND id = a.id;
    END IF;
    IF (a.user_name, a.external_id, a.standing, a.role, a.is_admin) IS DISTINCT FROM (
           p_change ->> 'user_name', p_change ->> 'external_id', p_change -> 'standing', p_change ->> 'role',
           (p_change ->> 'is_admin')::boolean) THEN
        UPDATE accounts
           SET user_name = p_change ->> 'user_name', external_id = p_change ->> 'external_id',
               role = p_change ->> 'role', is_admin = (p_change ->> 'is_admin')::boolean,
               standing = p_change -> 'standing'
         WHERE tenant_id = p_tenant AND id = a.id;
    END IF;
    UPDATE users
       SET user_name_key = p_change ->> 'user_name_key', external_id = p_change ->> 'external_id',
           display_name_key = p_change ->> 'display_name_key', active = v_active, document = p_change -> 'document',
           version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING version, last_modified INTO c.version, c.last_modified;
    IF p_change -> 'emails' IS NOT NULL THEN
        PERFORM write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    PERFORM announce(p_tenant, a.id, p_change ->> 'request_id', p_change -> 'events');
    c.id := p_user;
    c.verdict := 'done';
    RETURN c;
END $$;

CREATE FUNCTION scim_save_user(
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

-- What nearly every departure is: a PATCH that says active=false and nothing else, of somebody who is active. Whatever
-- is otherwise is `elsewhere`. Names and role stay as they were, so there is nothing to be worked out or compared.
CREATE FUNCTION scim_deactivate_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_base text, p_remembered jsonb, p_reason text,
    p_arrived timestamptz, p_call jsonb
) RETURNS user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
    v_left jsonb;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF p_remembered <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        u.verdict := 'stale';
        RETURN u;
    END IF;
    SELECT a.id INTO u.account_id FROM users s JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user AND a.active FOR UPDATE OF a;
    IF NOT FOUND THEN
        u.verdict := 'elsewhere';
        RETURN u;
    END IF;
    v_left := leave(p_tenant, u.account_id, p_reason, p_call ->> 'request_id', p_arrived);
    UPDATE users s
       SET active = false, document = document || '{"active": false}', version = version + 1,
           last_modified = statement_timestamp()
     WHERE s.tenant_id = p_tenant AND s.id = p_user
    RETURNING s.id, s.document::text, s.version, s.created_at, s.last_modified
         INTO STRICT u.id, u.document, u.version, u.created_at, u.last_modified;
    u.groups := groups_of(p_tenant, p_user, p_base);
    PERFORM announce(p_tenant, u.account_id, p_call ->> 'request_id', '[{"topic": "user.updated"}]');
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', 200, v_left::text,
                        ARRAY['user.updated', 'user.deactivated'], u.account_id, p_user::text);
    u.verdict := 'done';
    RETURN u;
END $$;

-- What nearly every PUT is: of somebody who is active and stays so, under the same userName, externalId and role names,
-- with no conflict that it could settle. Whatever is otherwise is `elsewhere`. The role follows from what is not touched.
CREATE FUNCTION scim_replace_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_base text, p_remembered jsonb, p_change jsonb,
    p_call jsonb
) RETURNS user_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    u user_result;
    s users;
    v_document jsonb := p_change -> 'document';
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    u := opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF p_remembered <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        u.verdict := 'stale';
        RETURN u;
    END IF;
    SELECT * INTO s FROM users WHERE tenant_id = p_tenant AND id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT s.active OR s.document = v_document
       OR (s.document -> 'userName', s.document -> 'externalId', s.document -> 'roles') IS DISTINCT FROM
          (v_document -> 'userName', v_document -> 'externalId', v_document -> 'roles')
       OR EXISTS (SELECT FROM conflict_cases WHERE tenant_id = p_tenant AND user_id = p_user AND closed_at IS NULL) THEN
        u.verdict := 'elsewhere';
        RETURN u;
    END IF;
    UPDATE users
       SET document = v_document, display_name_key = p_change ->> 'display_name_key', version = version + 1,
           last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING id, account_id, version, created_at, last_modified
         INTO u.id, u.account_id, u.version, u.created_at, u.last_modified;
    IF s.document -> 'emails' IS DISTINCT FROM v_document -> 'emails' THEN
        PERFORM write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    u.groups := groups_of(p_tenant, p_user, p_base);
    PERFORM announce(p_tenant, u.account_id, p_call ->> 'request_id', '[{"topic": "user.updated"}]');
    PERFORM audit_call(p_tenant, g, p_token, p_call, 'done', 200, NULL, ARRAY['user.updated'], u.account_id, p_user::text);
    u.verdict := 'done';
    RETURN u;
END $$;

-- Takes the resource away: the way in closes, the account and its history stay, the userName is free again.
-- With p_seen only if the person is still so, else `stale`.
CREATE FUNCTION remove_user(
    p_tenant uuid, p_user uuid, p_reason text, p_request_id text, p_arrived timestamptz, p_seen jsonb
) RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    c change_result;
    v_left jsonb;
    v_key text;
    v_external text;
BEGIN
    SELECT account_id, external_id INTO c.account_id, v_external FROM users
     WHERE tenant_id = p_tenant AND id = p_user;
    IF v_external IS NOT NULL THEN
        PERFORM hold_external_id(p_tenant, v_external);
    END IF;
    -- Groups before people, as every change of a group locks them.
    PERFORM FROM groups
      WHERE tenant_id = p_tenant
        AND id IN (SELECT group_id FROM group_users WHERE tenant_id = p_tenant AND user_id = p_user)
      ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM accounts WHERE tenant_id = p_tenant AND id = c.account_id FOR UPDATE;
    IF p_seen IS NOT NULL AND moved_on(p_tenant, p_user, p_seen) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    UPDATE groups SET version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant
       AND id IN (SELECT group_id FROM group_users WHERE tenant_id = p_tenant AND user_id = p_user);
    -- Somebody may have linked the person to another account before that one was locked; it is that one who leaves.
    DELETE FROM users WHERE tenant_id = p_tenant AND id = p_user RETURNING user_name_key, account_id INTO v_key, c.account_id;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
        RETURN c;
    END IF;
    v_left := leave(p_tenant, c.account_id, p_reason, p_request_id, p_arrived);
    UPDATE accounts SET detached_at = clock_timestamp() WHERE tenant_id = p_tenant AND id = c.account_id;
    PERFORM close_cases(p_tenant, p_user, v_key, 'the person was removed');
    PERFORM announce(p_tenant, c.account_id, p_request_id, '[{"topic": "user.removed"}]');
    c.id := p_user;
    c.reason := v_left::text;
    c.verdict := 'done';
    RETURN c;
END $$;

CREATE FUNCTION scim_delete_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_arrived timestamptz, p_call jsonb, p_seen jsonb
) RETURNS change_result LANGUAGE plpgsql AS $$
DECLARE
    g gate_result;
    c change_result;
BEGIN
    g := gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
    c := remove_user(p_tenant, p_user, 'deleted by the identity provider', p_call ->> 'request_id', p_arrived, p_seen);
    IF c.verdict = 'stale' THEN
        RETURN c;
    END IF;
    PERFORM audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
        CASE c.verdict WHEN 'done' THEN 204 ELSE 404 END, c.reason,
        CASE WHEN c.verdict <> 'done' THEN '{}' WHEN c.reason IS NULL THEN ARRAY['user.removed']
             ELSE ARRAY['user.deactivated', 'user.removed'] END,
        c.account_id, p_user::text);
    RETURN c;
END $$;
