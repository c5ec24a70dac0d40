-- Sessions: one judgement for the product's and the console's.

-- Whether a session is good, by the clock; p_before as for good_before. A single expression, so that it becomes part of
-- the query that asks.
CREATE FUNCTION fn.is_good(s public.sessions, a public.accounts, n public.tenants, p_before boolean) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT fn.good_before(p_before, s.id, s.closed_at IS NULL) AND s.expires_at > clock_timestamp()
      AND (a.active AND a.epoch = s.epoch OR fn.noted(p_before, a.id) = '+') AND n.status = 'active' $$;

-- Who is signed in to the console by this session; no row if nobody is any more, or has not used it for p_idle. One that a
-- portal link opened, which is for one intent, is good for an active admin alone, and one of a link for somebody
-- without an account while that link is open; p_before as for good_before. With p_sees it is noted that it was used, once a minute, and not while somebody else has the row.
-- Locks: the session, skipping it.
CREATE FUNCTION fn.console_session(
    p_tenant uuid, p_id uuid, p_digest bytea, p_before boolean, p_idle interval DEFAULT NULL, p_sees boolean DEFAULT false
) RETURNS TABLE (account_id uuid, slug text, tenant_name text, user_name text, role text, opened_at timestamptz,
                 expires_at timestamptz, is_admin boolean, intent text, return_url text, proved_at timestamptz, link_id uuid,
                 label text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT s.account_id, n.slug, n.name, a.user_name,
                        coalesce(n.role_rule #>> ARRAY['roles', a.role, 'label'], a.role), s.created_at, s.expires_at,
                        a.is_admin, s.intent, s.return_url, coalesce(s.proved_at, s.created_at), s.link_id, s.label
      FROM public.sessions s
      JOIN public.accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
      JOIN public.tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose IN ('console', 'portal')
       AND fn.same_digest(s.digest, p_digest) AND fn.is_good(s, a, n, p_before)
       AND (s.purpose = 'console' OR fn.good_before(p_before, a.id, a.is_admin))
       AND (s.link_id IS NULL OR EXISTS (SELECT FROM public.sessions l
                                          WHERE l.tenant_id = p_tenant AND l.id = s.link_id AND l.closed_at IS NULL))
       AND (p_idle IS NULL OR coalesce(s.seen_at, s.created_at) > clock_timestamp() - p_idle);
    IF FOUND AND p_sees THEN
        UPDATE public.sessions u SET seen_at = clock_timestamp()
         WHERE u.tenant_id = p_tenant AND u.id = (
            SELECT s.id FROM public.sessions s
             WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.closed_at IS NULL
               AND coalesce(s.seen_at, s.created_at) < clock_timestamp() - interval '1 minute'
               FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END $$;

-- Whether somebody is an admin, but for what this transaction has done to them; p_before as for good_before.
CREATE FUNCTION fn.still_admin(p_tenant uuid, p_account uuid) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT fn.good_before(fn.has_notes(), a.id, a.active AND a.is_admin)
     FROM public.accounts a WHERE a.tenant_id = p_tenant AND a.id = p_account $$;
