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

-- The rows of a person, written by every surface. p_change: user_name, user_name_key, external_id, display_name_key,
-- active, document, emails (keys), role, is_admin, role_state, events, request_id, arrived_at, reason, and
-- account_id when a former account is taken up again. Whoever calls holds the role rule.
CREATE FUNCTION fn.write_new_user(p_tenant uuid, p_change jsonb) RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    c fn.change_result;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_external text := p_change ->> 'external_id';
BEGIN
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
    PERFORM fn.announce(p_tenant, c.account_id, p_change ->> 'request_id', p_change -> 'events');
    c.verdict := 'done';
    RETURN c;
END $$;

-- Applies a change to an existing person, by every surface; the account and the user are locked in this order.
-- p_change as for write_new_user, with version and was_role_state as they were when the change was worked out; with seen
-- (see moved_on) when it depends on more.
CREATE FUNCTION fn.write_user(p_tenant uuid, p_user uuid, p_change jsonb) RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    c fn.change_result;
    a public.accounts;
    v_version integer;
    v_rule_version integer;
    v_active boolean := (p_change ->> 'active')::boolean;
    v_left jsonb;
BEGIN
    SELECT o.* INTO a FROM public.users s JOIN public.accounts o ON o.tenant_id = s.tenant_id AND o.id = s.account_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user FOR UPDATE OF o;
    c.account_id := a.id;
    SELECT s.version, s.created_at, n.role_rule_version INTO v_version, c.created_at, v_rule_version
      FROM public.users s JOIN public.tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user FOR NO KEY UPDATE OF s;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
        RETURN c;
    END IF;
    IF v_version <> (p_change ->> 'version')::integer OR a.role_state <> p_change -> 'was_role_state'
       OR a.group_revision <> (p_change ->> 'group_revision')::integer
       OR (p_change ? 'seen' AND fn.moved_on(p_tenant, p_user, p_change -> 'seen'))
       OR v_rule_version <> (p_change ->> 'rule_version')::integer THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF a.active AND NOT v_active THEN
        v_left := fn.leave(p_tenant, a.id, p_change ->> 'reason', p_change ->> 'request_id',
                        (p_change ->> 'arrived_at')::timestamptz);
        c.reason := v_left::text;
    ELSIF v_active AND NOT a.active THEN
        UPDATE public.accounts SET active = true, deactivated_at = NULL, deactivated_because = NULL
         WHERE tenant_id = p_tenant AND id = a.id;
    END IF;
    IF (a.user_name, a.external_id, a.role_state, a.role, a.is_admin) IS DISTINCT FROM (
           p_change ->> 'user_name', p_change ->> 'external_id', p_change -> 'role_state', p_change ->> 'role',
           (p_change ->> 'is_admin')::boolean) THEN
        UPDATE public.accounts
           SET user_name = p_change ->> 'user_name', external_id = p_change ->> 'external_id',
               role = p_change ->> 'role', is_admin = (p_change ->> 'is_admin')::boolean,
               role_state = p_change -> 'role_state'
         WHERE tenant_id = p_tenant AND id = a.id;
    END IF;
    UPDATE public.users
       SET user_name_key = p_change ->> 'user_name_key', external_id = p_change ->> 'external_id',
           display_name_key = p_change ->> 'display_name_key', active = v_active, document = p_change -> 'document',
           version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING version, last_modified INTO c.version, c.last_modified;
    IF p_change -> 'emails' IS NOT NULL THEN
        PERFORM fn.write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    PERFORM fn.announce(p_tenant, a.id, p_change ->> 'request_id', p_change -> 'events');
    c.id := p_user;
    c.verdict := 'done';
    RETURN c;
END $$;

-- Takes the resource away: the way in closes, the account and its history stay, the userName is free again.
-- With p_seen only if the person is still so, else `stale`.
CREATE FUNCTION fn.remove_user(
    p_tenant uuid, p_user uuid, p_reason text, p_request_id text, p_arrived timestamptz, p_seen jsonb
) RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    c fn.change_result;
    v_left jsonb;
    v_key text;
    v_external text;
BEGIN
    SELECT account_id, external_id INTO c.account_id, v_external FROM public.users
     WHERE tenant_id = p_tenant AND id = p_user;
    IF v_external IS NOT NULL THEN
        PERFORM fn.hold_external_id(p_tenant, v_external);
    END IF;
-- Groups before people, as every change of a group locks them.
    PERFORM FROM public.groups
      WHERE tenant_id = p_tenant
        AND id IN (SELECT group_id FROM public.group_users WHERE tenant_id = p_tenant AND user_id = p_user)
      ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM public.accounts WHERE tenant_id = p_tenant AND id = c.account_id FOR UPDATE;
    IF p_seen IS NOT NULL AND fn.moved_on(p_tenant, p_user, p_seen) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    UPDATE public.groups SET version = version + 1, last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant
       AND id IN (SELECT group_id FROM public.group_users WHERE tenant_id = p_tenant AND user_id = p_user);
-- Somebody may have linked the person to another account before that one was locked; it is that one who leaves.
    DELETE FROM public.users WHERE tenant_id = p_tenant AND id = p_user RETURNING user_name_key, account_id INTO v_key, c.account_id;
    IF NOT FOUND THEN
        c.verdict := 'not_found';
        RETURN c;
    END IF;
    v_left := fn.leave(p_tenant, c.account_id, p_reason, p_request_id, p_arrived);
    UPDATE public.accounts SET detached_at = clock_timestamp() WHERE tenant_id = p_tenant AND id = c.account_id;
    PERFORM fn.close_cases(p_tenant, p_user, v_key, 'the person was removed');
    PERFORM fn.announce(p_tenant, c.account_id, p_request_id, '[{"topic": "user.removed"}]');
    c.id := p_user;
    c.reason := v_left::text;
    c.verdict := 'done';
    RETURN c;
END $$;
