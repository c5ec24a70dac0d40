-- Erasing a person who has left: what names them goes, that something happened stays. Whom it may be is judged here, so
-- nobody who calls these functions takes anything of somebody else out of the audit.

-- What names somebody in the documents that they were described by: their own names, addresses and ids.
CREATE FUNCTION fn.names_in(p_document jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT v #>> '{}'
      FROM unnest(ARRAY['$.userName', '$.externalId', '$.displayName', '$.nickName', '$.profileUrl', '$.name.formatted',
                        '$.emails[*].value', '$.phoneNumbers[*].value', '$.ims[*].value', '$.photos[*].value',
                        '$.user_name', '$.external_id', '$.display_name', '$.email']::jsonpath[]) p (path),
           jsonb_path_query(p_document, p.path) v
     WHERE jsonb_typeof(v) = 'string'
$$;

-- The names of a person by their accounts: present ones, and former ones as the payloads of their entries have them.
CREATE FUNCTION fn.names_of(p_tenant uuid, p_accounts uuid[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT n.name) FROM (
        SELECT user_name FROM public.accounts WHERE tenant_id = p_tenant AND id = ANY (p_accounts)
         UNION
        SELECT external_id FROM public.accounts WHERE tenant_id = p_tenant AND id = ANY (p_accounts)
         UNION
        SELECT fn.names_in(document) FROM public.users WHERE tenant_id = p_tenant AND account_id = ANY (p_accounts)
         UNION
        SELECT fn.names_in(d.document)
          FROM public.audit_entries e
          JOIN public.audit_payloads p ON p.tenant_id = p_tenant AND p.at = e.at AND p.entry_id = e.id
         CROSS JOIN LATERAL (
               SELECT p.payload UNION ALL SELECT p.payload -> 'data' UNION ALL
               SELECT jsonb_path_query(p.payload, '$.Operations[*].value') UNION ALL
               SELECT jsonb_build_object('userName', o -> 'value') FROM jsonb_path_query(
                   p.payload, '$.Operations[*] ? (@.path like_regex
                       "^(urn:.*:)?(userName|externalId|displayName|nickName|name\\.formatted|(emails|phoneNumbers).*value)$"
                       flag "i")') o) d (document)
         WHERE e.tenant_id = p_tenant AND e.account_id = ANY (p_accounts)) n (name)
     WHERE length(btrim(n.name)) > 0
$$;

-- A name as it stands in an address.
CREATE FUNCTION fn.in_address(p_name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(CASE WHEN c ~ '[A-Za-z0-9._~-]' THEN c
                           ELSE regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '%\1', 'g') END, '')
      FROM regexp_split_to_table(p_name, '') c
$$;

-- What finds names in a text, whatever their case: as words of their own, and in quotes where they are too short for that.
CREATE FUNCTION fn.pattern_of(p_names text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws('|',
        '(?<![[:alnum:]])(?:' || string_agg(DISTINCT f.escaped, '|') FILTER (WHERE NOT f.short) || ')(?![[:alnum:]])',
        string_agg(DISTINCT '["“]' || f.escaped || '["”]', '|') FILTER (WHERE f.short))
      FROM (SELECT n.name ~ '^([0-9]{1,7}|.{1,3})$' AS short,
                   regexp_replace(form, '([][\\.^$*+?(){}|-])', '\\\1', 'g') AS escaped
              FROM unnest(p_names) n (name)
             CROSS JOIN LATERAL (VALUES (n.name), (substr(to_json(n.name)::text, 2, length(to_json(n.name)::text) - 2)),
                                        (fn.in_address(n.name))) v (form)) f
$$;

-- The account of a person, and those that were closed as they were linked to it.
CREATE FUNCTION fn.accounts_of_person(p_tenant uuid, p_account uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE linked AS (
        SELECT p_account AS id
         UNION
        SELECT a.id FROM linked l JOIN public.accounts a ON a.tenant_id = p_tenant AND a.linked_to = l.id)
    SELECT array_agg(id ORDER BY id) FROM linked
$$;

-- Erases a person and begins with the audit; returns what went, in numbers, or why nothing did (`refused`).
-- Locks: the tenant, what remove_user locks, the accounts by id, then what is the person's, in the order of tables.
CREATE FUNCTION fn.erase_person(
    p_tenant uuid, p_account uuid, p_request_id text, p_receipts boolean
) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_accounts uuid[];
    v_user uuid;
    v_names text[];
    v_pattern text;
    v_did jsonb;
BEGIN
    IF p_tenant IS DISTINCT FROM public.rollcall_tenant() THEN
        RAISE EXCEPTION 'another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM FROM public.tenants WHERE id = p_tenant FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM public.erasures WHERE tenant_id = p_tenant AND p_account = ANY (accounts)) THEN
        RETURN '{"before": true}';
    END IF;
    v_accounts := fn.accounts_of_person(p_tenant, p_account);
    SELECT id INTO v_user FROM public.users WHERE tenant_id = p_tenant AND account_id = p_account;
    IF fn.is_still_here(p_tenant, v_accounts) THEN
        RETURN '{"refused": "here"}';
    ELSIF fn.is_being_told(p_tenant, v_accounts) THEN
        RETURN '{"refused": "told"}';
    END IF;
    v_names := fn.names_of(p_tenant, v_accounts);
    v_pattern := fn.pattern_of(v_names);
    IF v_user IS NOT NULL THEN
        PERFORM fn.remove_user(p_tenant, v_user, 'erased', p_request_id, clock_timestamp(), NULL);
    END IF;
    PERFORM FROM public.accounts WHERE tenant_id = p_tenant AND id = ANY (v_accounts) ORDER BY id FOR UPDATE;
    IF fn.is_still_here(p_tenant, v_accounts) THEN
        RETURN '{"refused": "here"}';
    END IF;
    UPDATE public.accounts
       SET user_name = 'erased-' || id, external_id = NULL, deactivated_because = NULL,
           detached_at = coalesce(detached_at, clock_timestamp())
     WHERE tenant_id = p_tenant AND id = ANY (v_accounts);
    PERFORM fn.erase_mentions(p_tenant, v_accounts, v_pattern);
    v_did := fn.erase_what_is_theirs(p_tenant, v_accounts, v_user, v_names, v_pattern, p_receipts);
    INSERT INTO public.erasures (tenant_id, account_id, accounts, ids, pattern)
    VALUES (p_tenant, p_account, v_accounts, v_accounts::text[] || coalesce(ARRAY[v_user::text], '{}'), v_pattern);
    RETURN v_did || jsonb_build_object(
        'accounts', cardinality(v_accounts),
        'entries', (SELECT count(*) FROM public.audit_entries WHERE tenant_id = p_tenant AND account_id = ANY (v_accounts)));
END $$;
REVOKE ALL ON FUNCTION fn.erase_person(uuid, uuid, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.erase_person(uuid, uuid, text, boolean) TO rollcall_runtime;

CREATE FUNCTION fn.is_still_here(p_tenant uuid, p_accounts uuid[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM public.accounts WHERE tenant_id = p_tenant AND id = ANY (p_accounts) AND active)
$$;

-- Whether somebody has still to be told of a person, or their receipt to be completed.
CREATE FUNCTION fn.is_being_told(p_tenant uuid, p_accounts uuid[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM public.outbox
                    WHERE tenant_id = p_tenant AND account_id = ANY (p_accounts)
                      AND (topic = 'user.deactivated' AND done_at IS NULL OR fanned_out_at IS NULL AND dead_at IS NULL))
        OR EXISTS (SELECT FROM public.deliveries
                    WHERE tenant_id = p_tenant AND account_id = ANY (p_accounts) AND state = 'pending')
        OR EXISTS (SELECT FROM public.receipts
                    WHERE tenant_id = p_tenant AND account_id = ANY (p_accounts) AND completed_at IS NULL)
$$;

-- Deletes what was the person's alone; returns how many rows of each kind.
CREATE FUNCTION fn.erase_what_is_theirs(
    p_tenant uuid, p_accounts uuid[], p_user uuid, p_names text[], p_pattern text, p_receipts boolean
) RETURNS jsonb LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_did jsonb := '{}';
    v_one record;
    v_rows bigint;
BEGIN
    FOR v_one IN SELECT * FROM (VALUES
        ('cases', 'conflict_cases', 'user_id = $3 OR user_name ~* $5 OR detail ~* $5 OR names::text ~* $5'),
        ('refused_departures', 'refused_departures', 'account_id = ANY ($2)'),
        ('alerts', 'alerts', 'subject = ANY ($2::text[]) OR subject ~* $5 OR facts::text ~* $5'),
        ('sessions', 'sessions', 'account_id = ANY ($2)'),
        ('tokens', 'tokens',
         'owner_id = ANY ($2) AND revoked_at IS NOT NULL AND NOT scopes && ''{scim,scim:read}'''),
        ('passkeys', 'passkeys', 'account_id = ANY ($2)'),
        ('challenges', 'passkey_challenges', 'account_id = ANY ($2)'),
        ('external_credentials', 'external_credentials', 'account_id = ANY ($2)'),
        ('passwords', 'passwords', 'account_id = ANY ($2)'),
        ('notices', 'notices', 'payload::text ~* $5 OR payload::text ~ array_to_string($2, ''|'')'),
        ('mail_refusals', 'mail_refusals', 'account_id = ANY ($2)'),
        ('role_changes', 'role_change_people', 'account_id = ANY ($2)'),
        ('members', 'group_unknown_members', 'value = $3::text OR value ~* $5 OR display ~* $5'),
        ('messages', 'outbox',
         '(done_at IS NOT NULL OR dead_at IS NOT NULL) AND (account_id = ANY ($2) OR payload::text ~* $5)'),
        ('deliveries', 'deliveries', 'account_id = ANY ($2)'),
        ('receipts', 'receipts', '$6 AND account_id = ANY ($2)')) AS t (name, rows, which)
    LOOP
        EXECUTE format('DELETE FROM public.%I WHERE tenant_id = $1 AND ($4 IS NOT NULL AND (%s))', v_one.rows, v_one.which)
          USING p_tenant, p_accounts, p_user, p_names, p_pattern, p_receipts;
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        v_did := v_did || jsonb_build_object(v_one.name, v_rows);
    END LOOP;
    DELETE FROM public.mail_codes m WHERE m.address ~* p_pattern OR m.found::text ~ array_to_string(p_accounts, '|');
    RETURN v_did || jsonb_build_object('receipts_kept', (
        SELECT count(*) FROM public.receipts WHERE tenant_id = p_tenant AND account_id = ANY (p_accounts)));
END $$;

-- Blanks where others' rows name the person: labels, who did something, and settings.
CREATE FUNCTION fn.erase_mentions(p_tenant uuid, p_accounts uuid[], p_pattern text) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    -- Who issued a token is said by the label of the token that they had themselves.
    v_own text[] := ARRAY(SELECT label FROM public.tokens WHERE tenant_id = p_tenant AND owner_id = ANY (p_accounts));
BEGIN
    UPDATE public.tokens SET label = CASE WHEN label ~* p_pattern THEN 'erased' ELSE label END,
                             issued_by = CASE WHEN issued_by ~* p_pattern OR issued_by = ANY (v_own) THEN 'erased'
                                              ELSE issued_by END
     WHERE tenant_id = p_tenant AND (label ~* p_pattern OR issued_by ~* p_pattern OR issued_by = ANY (v_own));
    UPDATE public.sessions SET label = 'erased' WHERE tenant_id = p_tenant AND label ~* p_pattern;
    UPDATE public.deliveries SET last_error = NULL WHERE tenant_id = p_tenant AND last_error ~* p_pattern;
    UPDATE public.mass_changes SET released_by = 'erased' WHERE tenant_id = p_tenant AND released_by ~* p_pattern;
    UPDATE public.tenants
       SET break_glass = ARRAY(SELECT n FROM unnest(break_glass) n WHERE n !~* p_pattern),
           overrides = regexp_replace(overrides::text, p_pattern, 'erased', 'gi')::jsonb
     WHERE id = p_tenant AND (break_glass::text ~* p_pattern OR overrides::text ~* p_pattern);
END $$;

-- Looks through up to p_limit entries of the tenant's audit from before the erasure began, oldest first: what is the
-- person's or names them loses its payload and the text that may name them. Returns how many it looked at; 0 is the end.
CREATE FUNCTION fn.erase_entries(p_tenant uuid, p_account uuid, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    e public.erasures;
    v_ids text;
    v_seen bigint;
    v_at timestamptz;
    v_id uuid;
BEGIN
    SELECT * INTO e FROM public.erasures
     WHERE tenant_id = p_tenant AND account_id = p_account AND ended_at IS NULL FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_ids := array_to_string(e.ids, '|');
    SELECT count(*), (array_agg(at ORDER BY at DESC, id DESC))[1], (array_agg(id ORDER BY at DESC, id DESC))[1]
      INTO v_seen, v_at, v_id
      FROM (SELECT at, id FROM public.audit_entries
             WHERE tenant_id = p_tenant AND (at, id) > (e.seen_at, e.seen_id) AND at <= e.began_at
             ORDER BY at, id LIMIT p_limit) s;
    IF v_seen = 0 THEN
        UPDATE public.erasures SET ended_at = clock_timestamp(), pattern = ''
         WHERE tenant_id = p_tenant AND account_id = p_account;
        RETURN 0;
    END IF;
    DELETE FROM public.audit_payloads p USING public.audit_entries a
     WHERE a.tenant_id = p_tenant AND (a.at, a.id) > (e.seen_at, e.seen_id) AND (a.at, a.id) <= (v_at, v_id)
       AND p.tenant_id = p_tenant AND p.at = a.at AND p.entry_id = a.id
       AND (a.account_id = ANY (e.accounts) OR a.target = ANY (e.ids) OR p.payload::text ~* e.pattern
            OR p.payload::text ~ v_ids);
    UPDATE public.audit_entries a
       SET detail = CASE WHEN w.theirs OR a.detail ~* e.pattern THEN NULL ELSE a.detail END,
           path = CASE WHEN a.path ~* e.pattern THEN 'erased' ELSE a.path END,
           target = CASE WHEN a.target ~* e.pattern THEN 'erased' ELSE a.target END,
           source = CASE WHEN w.by_them AND a.actor_kind = 'person' THEN NULL ELSE a.source END,
           actor_label = CASE WHEN w.by_them AND a.actor_kind = 'person' OR a.actor_label ~* e.pattern THEN 'erased'
                              ELSE a.actor_label END
      FROM (SELECT x.at, x.id, coalesce(x.account_id = ANY (e.accounts) OR x.target = ANY (e.ids), false) AS theirs,
                   coalesce(x.owner_id = ANY (e.accounts), false) AS by_them
              FROM public.audit_entries x
             WHERE x.tenant_id = p_tenant AND (x.at, x.id) > (e.seen_at, e.seen_id) AND (x.at, x.id) <= (v_at, v_id)) w
     WHERE a.tenant_id = p_tenant AND a.at = w.at AND a.id = w.id
       AND (w.theirs AND a.detail IS NOT NULL OR w.by_them AND a.actor_kind = 'person'
            OR concat_ws(' ', a.detail, a.path, a.actor_label, a.target) ~* e.pattern);
    UPDATE public.erasures SET seen_at = v_at, seen_id = v_id WHERE tenant_id = p_tenant AND account_id = p_account;
    RETURN v_seen;
END $$;
REVOKE ALL ON FUNCTION fn.erase_entries(uuid, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.erase_entries(uuid, uuid, integer) TO rollcall_runtime;

-- Brings on the erasure that began first of those that have not ended; returns p_limit as long as
-- there is one, and how many entries it looked at after the last.
CREATE FUNCTION fn.bring_on_erasures(p_limit integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    e public.erasures;
    v_seen bigint;
BEGIN
    SELECT * INTO e FROM public.erasures WHERE ended_at IS NULL ORDER BY began_at LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_seen := fn.erase_entries(e.tenant_id, e.account_id, p_limit);
    RETURN CASE WHEN EXISTS (SELECT FROM public.erasures WHERE ended_at IS NULL) THEN p_limit ELSE v_seen END;
END $$;
REVOKE ALL ON FUNCTION fn.bring_on_erasures(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.bring_on_erasures(integer) TO rollcall_fleet;
