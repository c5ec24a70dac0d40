-- What identity providers do with people: each function passes the gate, and does one thing.

-- A person as they are stored, into u. p_judged: with what decides their role, before the groups, so that whoever moves
-- between the two is noticed by the group revision.
CREATE FUNCTION fn.bring_user(
    u fn.user_result, p_tenant uuid, p_user uuid, p_base text, p_judged boolean
) RETURNS fn.user_result LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_judged THEN
        SELECT a.role_state::text, a.group_revision INTO u.role_state, u.group_revision
          FROM public.accounts a
         WHERE a.tenant_id = p_tenant
           AND a.id = (SELECT s.account_id FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = p_user);
    END IF;
    SELECT s.id, s.account_id, s.document::text, s.version, s.created_at, s.last_modified, s.active
      INTO u.id, u.account_id, u.document, u.version, u.created_at, u.last_modified, u.active
      FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = p_user;
    u.groups := fn.groups_of(p_tenant, u.id, p_base);
    RETURN u;
END $$;

-- Passes the gate and brings a person: to be read, or with what is needed to judge a change of them.
CREATE FUNCTION fn.read_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_needs text, p_user uuid, p_base text
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE u fn.user_result;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, p_needs);
    IF NOT fn.lets(u.gate, true) THEN
        RETURN u;
    END IF;
    RETURN fn.bring_user(u, p_tenant, p_user, p_base, p_needs = 'write');
END $$;

-- Passes the gate and says which person the token's owner is; id is NULL for a token of the tenant's own.
CREATE FUNCTION fn.own_user(p_tenant uuid, p_token uuid, p_digest bytea, p_needs text) RETURNS fn.user_result
LANGUAGE plpgsql AS $$
DECLARE u fn.user_result;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, p_needs);
    IF fn.lets(u.gate, true) THEN
        SELECT s.id INTO u.id FROM public.users s WHERE s.tenant_id = p_tenant AND s.account_id = (u.gate).owner_id;
    END IF;
    RETURN u;
END $$;

-- Takes in one person of a call that the gate has let in, as u says, by a role rule that is held and is the one it was judged
-- by. p_change may name a former account, with the role state that it had.
-- former: another account, or none, has to be taken up again. seats: no seat is left; what is to be said of that the caller
-- enters. Locks: the externalId, before any account; then as write_new_user.
CREATE FUNCTION fn.take_in(u fn.user_result, p_tenant uuid, p_token uuid, p_change jsonb, p_call jsonb)
RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    c fn.user_change;
    v_former uuid;
    v_former_state jsonb;
    v_external text := p_change ->> 'external_id';
BEGIN
    IF v_external IS NOT NULL THEN
        PERFORM fn.hold_external_id(p_tenant, v_external);
        SELECT id, role_state INTO v_former, v_former_state FROM public.accounts
         WHERE tenant_id = p_tenant AND external_id = v_external AND detached_at IS NOT NULL
         ORDER BY detached_at DESC LIMIT 1 FOR UPDATE;
        IF v_former IS DISTINCT FROM (p_change ->> 'account_id')::uuid
           OR (v_former IS NOT NULL AND v_former_state <> p_change -> 'former_role_state') THEN
            u.outcome := 'former'; u.account_id := v_former; u.role_state := v_former_state::text;
            RETURN u;
        END IF;
    END IF;
    -- Whoever takes the name between this look and the insert makes the statement fail, and it is run again.
    u.id := fn.user_called(p_tenant, p_change ->> 'user_name_key', p_change ->> 'first_key');
    IF u.id IS NOT NULL THEN
        SELECT CASE WHEN NOT s.active THEN 'inactive' END INTO u.reason
          FROM public.users s WHERE s.tenant_id = p_tenant AND s.id = u.id;
        u.outcome := 'uniqueness';
        PERFORM fn.audit_call(p_tenant, u.gate, p_token, p_call, 'refused', 409, 'userName is taken', '{}', NULL,
                              p_change ->> 'user_name');
        RETURN u;
    END IF;
    c := fn.write_new_user(p_tenant, p_change);
    IF c.outcome = 'seats' THEN
        u.outcome := 'seats';
        RETURN u;
    END IF;
    u.outcome := 'done'; u.id := c.id; u.account_id := c.account_id;
    u.version := c.version; u.created_at := c.created_at; u.last_modified := c.last_modified;
    PERFORM fn.audit_call(
        p_tenant, u.gate, p_token, p_call, 'done', 201, NULL,
        c.events || fn.settle_cases(p_tenant, c.id, c.account_id, p_call ->> 'request_id', p_change), c.account_id,
        c.id::text);
    RETURN u;
END $$;

-- Takes a new person in. stale: the context or the role rule is another; else as take_in.
-- Locks: the role rule, shared, before any account, as whoever edits it holds it and wants all accounts; then as take_in.
CREATE FUNCTION fn.create_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_context jsonb, p_change jsonb, p_call jsonb
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE u fn.user_result;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF (u.gate).verdict <> 'ok' THEN
        RETURN u;
    END IF;
    IF fn.held_rule_version(p_tenant) <> (p_change ->> 'rule_version')::integer OR fn.is_stale(u.gate, p_context) THEN
        u.outcome := 'stale';
        RETURN u;
    END IF;
    RETURN fn.take_in(u, p_tenant, p_token, p_change, p_call);
END $$;

-- Takes new people in, one after the other, each as create_user would, all judged by one version of the rule; the first of
-- them whose account has to be taken up again ends it, and so does the p_most-th who is refused. Nobody is taken in where
-- the last seats are near: their turns are for those who come by themselves.
-- Of those refused p_singly have an entry, for their caller counts the others.
-- Locks: the role rule, shared; all externalIds, by value, before any name is taken; seats; then for each as take_in.
CREATE FUNCTION fn.create_users(
    p_tenant uuid, p_token uuid, p_digest bytea, p_context jsonb, p_changes jsonb[], p_calls jsonb[], p_most integer,
    p_singly integer
) RETURNS fn.users_result LANGUAGE plpgsql AS $$
DECLARE
    r fn.users_result;
    u fn.user_result;
    v_new fn.user_result;
    v_refused integer := 0;
BEGIN
    r.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF (r.gate).verdict <> 'ok' THEN
        RETURN r;
    END IF;
    IF fn.held_rule_version(p_tenant) <> (p_changes[1] ->> 'rule_version')::integer OR fn.is_stale(r.gate, p_context) THEN
        r.outcome := 'stale';
        RETURN r;
    END IF;
    PERFORM fn.hold_external_id(p_tenant, e.external_id)
       FROM (SELECT DISTINCT c ->> 'external_id' AS external_id FROM unnest(p_changes) c WHERE c ? 'external_id'
              ORDER BY 1) e;
    r.outcome := 'done';
    IF NOT fn.has_seats_for(p_tenant, cardinality(p_changes)) THEN
        RETURN r;
    END IF;
    v_new.gate := r.gate;
    FOR i IN 1 .. cardinality(p_changes) LOOP
        u := fn.take_in(v_new, p_tenant, p_token, p_changes[i],
                        CASE WHEN v_refused < p_singly THEN p_calls[i] ELSE p_calls[i] || '{"counted": [409]}' END);
        EXIT WHEN u.outcome IN ('former', 'seats');
        r.outcomes := array_append(r.outcomes, u.outcome); r.reasons := array_append(r.reasons, u.reason);
        r.ids := array_append(r.ids, u.id); r.versions := array_append(r.versions, u.version);
        IF u.outcome = 'uniqueness' THEN
            v_refused := v_refused + 1;
            EXIT WHEN v_refused >= p_most;
        END IF;
    END LOOP;
    RETURN r;
END $$;

-- Carries a change of a person out. p_change says of which kind it is: a departure and nothing else, a plain replacement,
-- or one that was judged by what is stored; the first two need nothing of that, as long as what they take for granted is so.
-- judge: it is not; what is stored comes with the answer. stale: the context, or what was judged, is no longer so. seats: it
-- would let somebody in, and no seat is left; what is to be said of that the caller enters.
CREATE FUNCTION fn.save_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_base text, p_context jsonb, p_change jsonb, p_call jsonb
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    u fn.user_result;
    c fn.user_change;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF NOT fn.lets(u.gate, p_change ->> 'kind' = 'departure') THEN
        RETURN u;
    END IF;
    IF fn.is_stale(u.gate, p_context) THEN
        u.outcome := 'stale';
        RETURN u;
    END IF;
    c := CASE p_change ->> 'kind' WHEN 'departure' THEN fn.write_departure(p_tenant, p_user, p_change)
                                  WHEN 'plain' THEN fn.write_plainly(p_tenant, p_user, p_change)
                                  ELSE fn.write_judged(p_tenant, p_user, p_change) END;
    u.outcome := c.outcome;
    IF c.outcome = 'judge' THEN
        RETURN fn.bring_user(u, p_tenant, p_user, p_base, true);
    ELSIF c.outcome IN ('stale', 'seats') THEN
        RETURN u;
    END IF;
    u.id := c.id; u.account_id := c.account_id; u.document := c.document; u.reason := c.reason;
    u.version := c.version; u.created_at := c.created_at; u.last_modified := c.last_modified;
    IF p_change ->> 'kind' <> 'judged' THEN
        u.groups := fn.groups_of(p_tenant, p_user, p_base);
    END IF;
    PERFORM fn.audit_call(
        p_tenant, u.gate, p_token, p_call, CASE c.outcome WHEN 'done' THEN 'done' ELSE 'refused' END,
        CASE c.outcome WHEN 'done' THEN coalesce((p_call ->> 'status')::integer, 200) WHEN 'uniqueness' THEN 409 ELSE 404 END,
        CASE c.outcome WHEN 'done' THEN nullif(concat_ws('; left out: ', c.reason, p_change ->> 'left_out'), '')
                       WHEN 'uniqueness' THEN 'userName is taken' ELSE 'not found' END,
        coalesce(c.events, '{}'), c.account_id, p_user::text);
    RETURN u;
END $$;

-- Takes the resource away; with p_seen only if the person is still so, else `stale`.
CREATE FUNCTION fn.delete_user(
    p_tenant uuid, p_token uuid, p_digest bytea, p_user uuid, p_arrived timestamptz, p_seen jsonb, p_call jsonb
) RETURNS fn.user_result LANGUAGE plpgsql AS $$
DECLARE
    u fn.user_result;
    c fn.user_change;
BEGIN
    u.gate := fn.gate(p_tenant, p_token, p_digest, 'write');
    IF NOT fn.lets(u.gate, true) THEN
        RETURN u;
    END IF;
    c := fn.remove_user(p_tenant, p_user, 'deleted by the identity provider', p_call ->> 'request_id', p_arrived, p_seen);
    u.outcome := c.outcome;
    IF c.outcome <> 'stale' THEN
        PERFORM fn.audit_call(
            p_tenant, u.gate, p_token, p_call, CASE c.outcome WHEN 'done' THEN 'done' ELSE 'refused' END,
            CASE c.outcome WHEN 'done' THEN 204 ELSE 404 END, c.reason, coalesce(c.events, '{}'), c.account_id,
            p_user::text);
    END IF;
    RETURN u;
END $$;
