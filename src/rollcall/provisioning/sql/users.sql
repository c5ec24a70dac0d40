-- What identity providers do with people: each function passes the gate, and does one thing.

CREATE FUNCTION fn.opened(g fn.gate_result) RETURNS fn.user_result LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (g.verdict, g.token_label, g.owner_id, g.plan, g.reason, g.rate, g.burst, g.profile,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::fn.user_result;
END $$;

-- Passes the gate and brings the person, if one is named. With p_lock the rows stay locked until the caller's
-- transaction ends, so that the save that follows can't be stale.
CREATE FUNCTION fn.scim_admit(
    p_tenant uuid, p_token uuid, p_digest bytea, p_needs text, p_user uuid, p_lock boolean, p_base text
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    u fn.user_result;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, p_needs);
    u := fn.opened(g);
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
        PERFORM FROM public.tenants WHERE id = p_tenant FOR SHARE;
        PERFORM FROM public.accounts a JOIN public.users s ON s.tenant_id = a.tenant_id AND s.account_id = a.id
          WHERE s.tenant_id = p_tenant AND s.id = p_user FOR UPDATE;
        SELECT role_rule::text, role_rule_version INTO u.rule, u.rule_version FROM public.tenants WHERE id = p_tenant;
    END IF;
    IF p_needs = 'write' THEN  -- before the groups: whoever moves between the two is noticed by `group_revision`
        SELECT a.role_state::text, a.group_revision INTO u.role_state, u.group_revision
          FROM public.users s JOIN public.accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
         WHERE s.tenant_id = p_tenant AND s.id = p_user;
    END IF;
    SELECT s.id, s.account_id, s.document::text, s.version, s.created_at, s.last_modified, s.active
      INTO u.id, u.account_id, u.document, u.version, u.created_at, u.last_modified, u.active
      FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = p_user;
    u.groups := fn.groups_of(p_tenant, u.id, p_base);
    RETURN u;
END $$;

-- Passes the gate and says which person the token's owner is; id is NULL for a token of the tenant's own.
CREATE FUNCTION fn.scim_me(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS fn.user_result
LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    u fn.user_result;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, p_needs);
    u := fn.opened(g);
    IF g.verdict = 'ok' THEN
        SELECT s.id INTO u.id FROM public.users s WHERE s.tenant_id = p_tenant AND s.account_id = g.owner_id;
    END IF;
    RETURN u;
END $$;

CREATE FUNCTION fn.scim_create_user(p_tenant uuid, p_token uuid, p_digest bytea, p_change jsonb, p_call jsonb)
RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    c fn.change_result;
    f public.accounts;
    v_external text := p_change ->> 'external_id';
    v_events text[];
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
-- Worked out by the role rule, and by what a process remembers, which are what is asked here; the rule before the
-- account, as whoever edits it holds it and wants all accounts.
    IF fn.held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer
       OR p_change -> 'remembered' <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        c.verdict := 'stale';
        RETURN c;
    END IF;
    IF v_external IS NOT NULL THEN
        PERFORM fn.hold_external_id(p_tenant, v_external);
-- The former account that a new resource with this externalId belongs to.
        SELECT * INTO f FROM public.accounts
         WHERE tenant_id = p_tenant AND external_id = v_external AND detached_at IS NOT NULL
         ORDER BY detached_at DESC LIMIT 1 FOR UPDATE;
        IF f.id IS DISTINCT FROM (p_change ->> 'account_id')::uuid
           OR (f.id IS NOT NULL AND f.role_state <> p_change -> 'former_role_state') THEN
            c.verdict := 'former';
            c.account_id := f.id;
            c.role_state := f.role_state::text;
            RETURN c;
        END IF;
    END IF;
-- Whoever takes the name between this look and the insert makes the statement fail, and it is run again.
    SELECT s.id, CASE WHEN NOT s.active THEN 'inactive' END INTO c.id, c.reason
      FROM public.users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_change ->> 'user_name_key';
    IF FOUND THEN
        c.verdict := 'uniqueness';
        PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'refused', 409, 'userName is taken', '{}', NULL,
                           p_change ->> 'user_name');
        RETURN c;
    END IF;
    c := fn.write_new_user(p_tenant, p_change);
    v_events := fn.event_names(p_change)
        || fn.settle_cases(p_tenant, c.id, c.account_id, p_call ->> 'request_id', p_change);
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', 201, NULL, v_events, c.account_id, c.id::text);
    RETURN c;
END $$;

CREATE FUNCTION fn.scim_save_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_change jsonb, p_call jsonb
) RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    c fn.change_result;
    v_status integer;
    v_cases text[] := '{}';
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
    BEGIN
        c := fn.write_user(p_tenant, p_user, p_change);
        IF c.verdict = 'done' THEN
            v_cases := fn.settle_cases(p_tenant, p_user, c.account_id, p_call ->> 'request_id', p_change);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        c := NULL;
        v_cases := '{}';
        SELECT s.id, CASE WHEN NOT s.active THEN 'inactive' END INTO c.id, c.reason
          FROM public.users s WHERE s.tenant_id = p_tenant AND s.user_name_key = p_change ->> 'user_name_key';
        c.verdict := 'uniqueness';
    END;
    IF c.verdict = 'stale' THEN
        RETURN c;
    END IF;
    v_status := CASE c.verdict WHEN 'done' THEN 200 WHEN 'uniqueness' THEN 409 ELSE 404 END;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, CASE v_status WHEN 200 THEN 'done' ELSE 'refused' END, v_status,
        CASE c.verdict WHEN 'done' THEN c.reason WHEN 'uniqueness' THEN 'userName is taken' ELSE 'not found' END,
        CASE v_status WHEN 200 THEN fn.event_names(p_change) ELSE '{}' END
            || CASE WHEN v_status = 200 AND c.reason IS NOT NULL THEN ARRAY['user.deactivated'] ELSE '{}' END
            || v_cases,
        c.account_id, p_user::text);
    RETURN c;
END $$;

-- What nearly every departure is: a PATCH that says active=false and nothing else, of somebody who is active. Whatever
-- is otherwise is `elsewhere`. Names and role stay as they were, so there is nothing to be worked out or compared.
CREATE FUNCTION fn.scim_deactivate_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_base text, p_remembered jsonb, p_reason text,
    p_arrived timestamptz, p_call jsonb
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    u fn.user_result;
    v_left jsonb;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    u := fn.opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF p_remembered <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        u.verdict := 'stale';
        RETURN u;
    END IF;
    SELECT a.id INTO u.account_id FROM public.users s JOIN public.accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
     WHERE s.tenant_id = p_tenant AND s.id = p_user AND a.active FOR UPDATE OF a;
    IF NOT FOUND THEN
        u.verdict := 'elsewhere';
        RETURN u;
    END IF;
    v_left := fn.leave(p_tenant, u.account_id, p_reason, p_call ->> 'request_id', p_arrived);
    UPDATE public.users s
       SET active = false, document = document || '{"active": false}', version = version + 1,
           last_modified = statement_timestamp()
     WHERE s.tenant_id = p_tenant AND s.id = p_user
    RETURNING s.id, s.document::text, s.version, s.created_at, s.last_modified
         INTO STRICT u.id, u.document, u.version, u.created_at, u.last_modified;
    u.groups := fn.groups_of(p_tenant, p_user, p_base);
    PERFORM fn.announce(p_tenant, u.account_id, p_call ->> 'request_id', '[{"topic": "user.updated"}]');
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', 200, v_left::text,
                        ARRAY['user.updated', 'user.deactivated'], u.account_id, p_user::text);
    u.verdict := 'done';
    RETURN u;
END $$;

-- What nearly every PUT is: of somebody who is active and stays so, under the same userName, externalId and role names,
-- with no conflict that it could settle. Whatever is otherwise is `elsewhere`. The role follows from what is not touched.
CREATE FUNCTION fn.scim_replace_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_base text, p_remembered jsonb, p_change jsonb,
    p_call jsonb
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    u fn.user_result;
    s public.users;
    v_document jsonb := p_change -> 'document';
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    u := fn.opened(g);
    IF g.verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF p_remembered <> jsonb_build_object('profile', g.profile, 'rate', g.rate, 'burst', g.burst) THEN
        u.verdict := 'stale';
        RETURN u;
    END IF;
    SELECT * INTO s FROM public.users WHERE tenant_id = p_tenant AND id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT s.active OR s.document = v_document
       OR (s.document -> 'userName', s.document -> 'externalId', s.document -> 'roles') IS DISTINCT FROM
          (v_document -> 'userName', v_document -> 'externalId', v_document -> 'roles')
       OR EXISTS (SELECT FROM public.conflict_cases WHERE tenant_id = p_tenant AND user_id = p_user AND closed_at IS NULL) THEN
        u.verdict := 'elsewhere';
        RETURN u;
    END IF;
    UPDATE public.users
       SET document = v_document, display_name_key = p_change ->> 'display_name_key', version = version + 1,
           last_modified = statement_timestamp()
     WHERE tenant_id = p_tenant AND id = p_user
    RETURNING id, account_id, version, created_at, last_modified
         INTO u.id, u.account_id, u.version, u.created_at, u.last_modified;
    IF s.document -> 'emails' IS DISTINCT FROM v_document -> 'emails' THEN
        PERFORM fn.write_emails(p_tenant, p_user, p_change -> 'emails');
    END IF;
    u.groups := fn.groups_of(p_tenant, p_user, p_base);
    PERFORM fn.announce(p_tenant, u.account_id, p_call ->> 'request_id', '[{"topic": "user.updated"}]');
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, 'done', 200, NULL, ARRAY['user.updated'], u.account_id, p_user::text);
    u.verdict := 'done';
    RETURN u;
END $$;

CREATE FUNCTION fn.scim_delete_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_arrived timestamptz, p_call jsonb, p_seen jsonb
) RETURNS fn.change_result LANGUAGE plpgsql AS $$
DECLARE
    g fn.gate_result;
    c fn.change_result;
BEGIN
    g := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF g.verdict <> 'ok' THEN
        c.verdict := g.verdict;
        c.token_label := g.token_label; c.owner_id := g.owner_id; c.plan := g.plan; c.reason := g.reason;
        RETURN c;
    END IF;
    c := fn.remove_user(p_tenant, p_user, 'deleted by the identity provider', p_call ->> 'request_id', p_arrived, p_seen);
    IF c.verdict = 'stale' THEN
        RETURN c;
    END IF;
    PERFORM fn.audit_call(p_tenant, g, p_token, p_call, CASE c.verdict WHEN 'done' THEN 'done' ELSE 'refused' END,
        CASE c.verdict WHEN 'done' THEN 204 ELSE 404 END, c.reason,
        CASE WHEN c.verdict <> 'done' THEN '{}' WHEN c.reason IS NULL THEN ARRAY['user.removed']
             ELSE ARRAY['user.deactivated', 'user.removed'] END,
        c.account_id, p_user::text);
    RETURN c;
END $$;
