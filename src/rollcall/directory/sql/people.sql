-- People: one function for each kind of change, whichever surface it comes through.

-- Makes a creation and a removal under one externalId take turns, so that the one sees the account the other leaves.
CREATE FUNCTION fn.hold_external_id(p_tenant uuid, p_external_id text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_external_id, 0) # hashtextextended('externalId ' || p_tenant, 0))
$$;

-- Whether a person is no longer as a conditional call knew them. p_seen: version, groups (the text of groups_of) and base.
CREATE FUNCTION fn.moved_on(p_tenant uuid, p_user uuid, p_seen jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.users WHERE tenant_id = p_tenant AND id = p_user
                   AND version <> (p_seen ->> 'version')::integer)
        OR fn.groups_of(p_tenant, p_user, p_seen ->> 'base') IS DISTINCT FROM p_seen ->> 'groups';
END $$;

-- Makes these a person's addresses, by their keys.
CREATE FUNCTION fn.write_emails(p_tenant uuid, p_user uuid, p_keys jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM public.user_emails WHERE tenant_id = p_tenant AND user_id = p_user AND NOT p_keys ? value_key;
    INSERT INTO public.user_emails (tenant_id, user_id, value_key)
    SELECT p_tenant, p_user, e FROM jsonb_array_elements_text(p_keys) e ON CONFLICT DO NOTHING;
END $$;

-- The rows of a person, written by every surface. p_change is a UserChange of Python (directory/user_changes.py), without
-- what is None there. `seats`: they would be active, and no seat is left; nothing was written. Whoever calls holds the role
-- rule. Locks: seats, if they are active, the plan has a number of them and the change does not say which seat they have.
CREATE FUNCTION fn.write_new_user(p_tenant uuid, p_change jsonb) RETURNS fn.user_change LANGUAGE plpgsql AS $$
DECLARE
    c fn.user_change;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_external text := p_change ->> 'external_id';
    v_seat fn.seat;
BEGIN
    IF v_active AND NOT p_change ? 'seat' THEN
        v_seat := fn.take_seat(p_tenant);
    END IF;
    IF v_seat.kind = 'none' THEN
        c.outcome := 'seats';
        RETURN c;
    END IF;
    c.id := uuidv7();
    c.account_id := coalesce((p_change ->> 'account_id')::uuid, c.id);
    IF p_change ->> 'account_id' IS NULL THEN
        INSERT INTO public.accounts (tenant_id, id, user_name, external_id, active, role, is_admin, role_state)
        VALUES (p_tenant, c.account_id, p_change ->> 'user_name', v_external, v_active, p_change ->> 'role',
                (p_change ->> 'is_admin')::boolean, p_change -> 'role_state');
    ELSE
        UPDATE public.accounts
           SET user_name = p_change ->> 'user_name', external_id = v_external, active = v_active, detached_at = NULL,
               deactivated_at = CASE WHEN NOT v_active THEN deactivated_at END,
               deactivated_because = CASE WHEN NOT v_active THEN deactivated_because END,
               role = p_change ->> 'role', is_admin = (p_change ->> 'is_admin')::boolean,
               role_state = p_change -> 'role_state'
         WHERE tenant_id = p_tenant AND id = c.account_id;
    END IF;
    INSERT INTO public.users (tenant_id, id, account_id, user_name_key, external_id, display_name_key, active, document,
                       created_at, last_modified)
    VALUES (p_tenant, c.id, c.account_id, p_change ->> 'user_name_key', v_external, p_change ->> 'display_name_key',
            v_active, p_change -> 'document', statement_timestamp(), statement_timestamp())
    RETURNING version, created_at, last_modified INTO c.version, c.created_at, c.last_modified;
    INSERT INTO public.user_emails (tenant_id, user_id, value_key)
    SELECT p_tenant, c.id, e FROM jsonb_array_elements_text(p_change -> 'emails') e ON CONFLICT DO NOTHING;
    c.events := fn.announce(p_tenant, c.account_id, p_change ->> 'request_id', p_change -> 'events');
    IF v_seat.kind <> 'any' THEN
        c.events := c.events || fn.seat_taken(p_tenant, v_seat, p_change ->> 'request_id');
    END IF;
    c.outcome := 'done';
    RETURN c;
END $$;

-- Lets somebody in again whose account is locked; returns which seat they have; with `none` nothing was done.
CREATE FUNCTION fn.let_in(p_tenant uuid, p_account uuid) RETURNS fn.seat LANGUAGE plpgsql AS $$
DECLARE v_seat fn.seat := fn.take_seat(p_tenant);
BEGIN
    IF v_seat.kind <> 'none' THEN
        UPDATE public.accounts SET active = true, deactivated_at = NULL, deactivated_because = NULL
         WHERE tenant_id = p_tenant AND id = p_account;
    END IF;
    RETURN v_seat;
END $$;

-- Gives an account the names and the role that a change says, where they are others.
CREATE FUNCTION fn.write_account(p_tenant uuid, p_account uuid, p_change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.accounts
       SET user_name = p_change ->> 'user_name', external_id = p_change ->> 'external_id',
           role = p_change ->> 'role', is_admin = (p_change ->> 'is_admin')::boolean,
           role_state = p_change -> 'role_state'
     WHERE tenant_id = p_tenant AND id = p_account
       AND (user_name, external_id, role_state, role, is_admin) IS DISTINCT FROM (
           p_change ->> 'user_name', p_change ->> 'external_id', p_change -> 'role_state', p_change ->> 'role',
           (p_change ->> 'is_admin')::boolean);
END $$;

-- Applies a change that was judged by what is stored, by every surface; `stale` if that is no longer so. Whoever calls holds
-- the role rule; its version is compared all the same, for groups whose names move change it without an edit.
-- `seats`: it would let somebody in, and no seat is left.
-- Locks: the account, then the user; seats, if it lets somebody in and the plan has a number of them.
CREATE FUNCTION fn.write_user(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS fn.user_change LANGUAGE plpgsql AS $$
DECLARE
    c fn.user_change;
    a public.accounts;
    v_version integer;
    v_key text;
    v_rule_version integer;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_left jsonb; v_seat fn.seat;
BEGIN
    SELECT o.* INTO a FROM public.accounts o
     WHERE o.tenant_id = p_tenant
       AND o.id = (SELECT s.account_id FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = p_user) FOR UPDATE;
    c.account_id := a.id;
    SELECT s.version, s.user_name_key, s.created_at, n.role_rule_version
      INTO v_version, v_key, c.created_at, v_rule_version
      FROM public.users s JOIN public.tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user FOR NO KEY UPDATE OF s;
    IF NOT FOUND THEN
        c.outcome := 'not_found';
        RETURN c;
    END IF;
    IF v_version <> (p_change ->> 'version')::integer OR a.role_state <> p_change -> 'was_role_state'
       OR a.group_revision <> (p_change ->> 'group_revision')::integer
       OR (p_change ? 'seen' AND fn.moved_on(p_tenant, p_user, p_change -> 'seen'))
       OR v_rule_version <> (p_change ->> 'rule_version')::integer THEN
        c.outcome := 'stale';
        RETURN c;
    END IF;
    IF a.active AND NOT v_active THEN
        v_left := fn.leave(p_tenant, a.id, p_change ->> 'reason', p_change ->> 'request_id',
                        (p_change ->> 'arrived_at')::timestamptz);
        c.reason := v_left::text;
    ELSIF v_active AND NOT a.active THEN
        v_seat := fn.let_in(p_tenant, a.id);
        IF v_seat.kind = 'none' THEN
            c.outcome := 'seats';
            RETURN c;
        END IF;
    END IF;
    PERFORM fn.write_account(p_tenant, a.id, p_change);
    UPDATE public.users
       SET user_name_key = fn.key_to_keep(p_tenant, p_user, v_key, p_change), external_id = p_change ->> 'external_id',
           display_name_key = p_change ->> 'display_name_key', active = v_active, document = p_change -> 'document',
           version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING version, last_modified INTO c.version, c.last_modified;
    IF p_change -> 'emails' IS NOT NULL THEN
        PERFORM fn.write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    c.events := fn.announce(p_tenant, a.id, p_change ->> 'request_id', p_change -> 'events')
                || CASE WHEN v_left IS NULL THEN '{}' ELSE ARRAY['user.deactivated'] END
                || fn.seat_taken(p_tenant, v_seat, p_change ->> 'request_id');
    c.id := p_user;
    c.outcome := 'done';
    RETURN c;
END $$;

-- The same as an identity provider makes it: it settles the person's cases, and a userName that is taken is an outcome, with
-- the id of who has it.
-- Locks: the role rule, shared, before any account, as whoever edits it judges everybody; then as write_user.
CREATE FUNCTION fn.write_judged(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS fn.user_change LANGUAGE plpgsql AS $$
DECLARE c fn.user_change;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('role rule ' || p_tenant, 0));
    c := fn.write_user(p_tenant, p_user, p_change);
    IF c.outcome = 'done' THEN
        c.events := c.events
            || fn.settle_cases(p_tenant, p_user, c.account_id, p_change ->> 'request_id', p_change);
    END IF;
    RETURN c;
EXCEPTION WHEN unique_violation THEN
    c := NULL;
    SELECT s.id, CASE WHEN NOT s.active THEN 'inactive' END INTO c.id, c.reason
      FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = fn.user_called(
               p_tenant, p_change ->> 'user_name_key', p_change ->> 'first_key', p_user);
    c.outcome := 'uniqueness';
    RETURN c;
END $$;

-- Has somebody leave who is active; `judge` if nobody like that is there. Names and role stay as they were, so there is
-- nothing to be judged. A person has the same account from the first day to the last.
-- Locks: the account, then the user.
CREATE FUNCTION fn.write_departure(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS fn.user_change
LANGUAGE plpgsql AS $$
DECLARE c fn.user_change;
BEGIN
    SELECT s.account_id INTO c.account_id FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = p_user;
    IF p_change ? 'seen' THEN
        PERFORM FROM public.accounts WHERE tenant_id = p_tenant AND id = c.account_id FOR NO KEY UPDATE;
        IF fn.moved_on(p_tenant, p_user, p_change -> 'seen') THEN
            c.outcome := 'stale';
            RETURN c;
        END IF;
    END IF;
    c.reason := fn.leave(p_tenant, c.account_id, p_change ->> 'reason', p_change ->> 'request_id',
                         (p_change ->> 'arrived_at')::timestamptz, 'user.updated')::text;
    IF c.reason IS NULL THEN
        c.outcome := 'judge';
        RETURN c;
    END IF;
    UPDATE public.users s
       SET active = false, document = document || '{"active": false}', version = version + 1,
           last_modified = statement_timestamp()
     WHERE s.tenant_id = p_tenant AND s.id = p_user
    RETURNING s.id, s.document::text, s.version, s.created_at, s.last_modified
         INTO STRICT c.id, c.document, c.version, c.created_at, c.last_modified;
    c.events := '{user.updated,user.deactivated}';
    c.outcome := 'done';
    RETURN c;
END $$;

-- Replaces what nobody is judged by, or writes some attributes over it: of somebody who is active and stays so, under the
-- same userName, externalId and role names, with no case that it could settle; `judge` if anything of that is otherwise,
-- or what comes out may be too large.
-- Locks: the user.
CREATE FUNCTION fn.write_plainly(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS fn.user_change
LANGUAGE plpgsql AS $$
DECLARE
    c fn.user_change;
    s public.users;
    v_some jsonb := p_change -> 'attributes';
    v_document jsonb;
BEGIN
    SELECT * INTO s FROM public.users WHERE tenant_id = p_tenant AND id = p_user FOR NO KEY UPDATE;
    v_document := coalesce(p_change -> 'document', s.document || v_some);
    IF s.id IS NULL OR NOT s.active OR s.document = v_document OR pg_column_size(v_document) > 1000000
       OR (s.document -> 'userName', s.document -> 'externalId', s.document -> 'roles') IS DISTINCT FROM
          (v_document -> 'userName', v_document -> 'externalId', v_document -> 'roles')
       OR EXISTS (SELECT FROM public.conflict_cases
                   WHERE tenant_id = p_tenant AND user_id = p_user AND closed_at IS NULL) THEN
        c.outcome := 'judge';
        RETURN c;
    END IF;
    UPDATE public.users
       SET document = v_document, version = version + 1, last_modified = statement_timestamp(),
           display_name_key = CASE WHEN v_some IS NULL OR v_some ? 'displayName' THEN p_change ->> 'display_name_key'
                                   ELSE display_name_key END
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING id, account_id, CASE WHEN v_some IS NOT NULL THEN document::text END, version, created_at, last_modified
         INTO c.id, c.account_id, c.document, c.version, c.created_at, c.last_modified;
    IF s.document -> 'emails' IS DISTINCT FROM v_document -> 'emails' THEN
        PERFORM fn.write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    c.events := fn.announce(p_tenant, c.account_id, p_change ->> 'request_id', p_change -> 'events');
    c.outcome := 'done';
    RETURN c;
END $$;

-- Takes the resource away: the way in closes, the account and its history stay, the userName is free again.
-- With p_seen only if the person is still so, else `stale`.
CREATE FUNCTION fn.remove_user(
    p_tenant uuid, p_user uuid, p_reason text, p_request_id text, p_arrived timestamptz, p_seen jsonb
) RETURNS fn.user_change LANGUAGE plpgsql AS $$
DECLARE
    c fn.user_change;
    v_left jsonb;
    v_key text;
    v_external text;
    v_groups uuid[];
    v_group uuid;
BEGIN
    SELECT account_id, external_id INTO c.account_id, v_external FROM public.users
     WHERE tenant_id = p_tenant AND id = p_user;
    IF v_external IS NOT NULL THEN
        PERFORM fn.hold_external_id(p_tenant, v_external);
    END IF;
    -- Groups before people, as every change of a group locks them.
    v_groups := ARRAY(SELECT group_id FROM public.group_users WHERE tenant_id = p_tenant AND user_id = p_user);
    IF v_groups <> '{}' THEN
        PERFORM fn.hold_groups(p_tenant, v_groups);
    END IF;
    PERFORM FROM public.accounts WHERE tenant_id = p_tenant AND id = c.account_id FOR UPDATE;
    IF p_seen IS NOT NULL AND fn.moved_on(p_tenant, p_user, p_seen) THEN
        c.outcome := 'stale';
        RETURN c;
    END IF;
    FOR v_group IN SELECT group_id FROM public.group_users WHERE tenant_id = p_tenant AND user_id = p_user LOOP
        UPDATE public.groups SET version = version + 1, last_modified = statement_timestamp()
         WHERE tenant_id = p_tenant AND id = v_group;
    END LOOP;
    -- Somebody may have linked the person to another account before that one was locked; it is that one who leaves.
    DELETE FROM public.users WHERE tenant_id = p_tenant AND id = p_user RETURNING user_name_key, account_id INTO v_key, c.account_id;
    IF NOT FOUND THEN
        c.outcome := 'not_found';
        RETURN c;
    END IF;
    v_left := fn.leave(p_tenant, c.account_id, p_reason, p_request_id, p_arrived);
    UPDATE public.accounts SET detached_at = clock_timestamp() WHERE tenant_id = p_tenant AND id = c.account_id;
    PERFORM fn.close_cases(p_tenant, p_user, v_key, 'the person was removed');
    PERFORM fn.announce(p_tenant, c.account_id, p_request_id, '[{"topic": "user.removed"}]');
    c.id := p_user;
    c.reason := v_left::text;
    c.events := CASE WHEN v_left IS NULL THEN '{}' ELSE ARRAY['user.deactivated'] END || ARRAY['user.removed'];
    c.outcome := 'done';
    RETURN c;
END $$;
