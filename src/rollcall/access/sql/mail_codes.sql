-- Signing in by an address alone: what has to be found across tenants, each by a function that answers nothing else.

-- The accounts of active admins, in tenants that are not suspended, that are written to at one of these addresses, or are
-- called so; p_addresses are in lower case. It looks at all admins of the installation once, however many addresses there
-- are: an index would cost each change of a person, and this is asked by a worker every few seconds at most.
CREATE FUNCTION fn.admins_addressed(p_addresses text[]) RETURNS TABLE (address text, tenant_id uuid, account_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
        SELECT DISTINCT asked.address, a.tenant_id, a.id
          FROM public.accounts a
          JOIN public.tenants n ON n.id = a.tenant_id AND n.status = 'active'
          LEFT JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
          JOIN unnest(p_addresses) AS asked (address)
            ON asked.address IN (lower(a.user_name), lower(u.document #>> '{emails,0,value}'))
         WHERE a.active AND a.is_admin
         ORDER BY asked.address, a.tenant_id
         LIMIT 1000;
END $$;
REVOKE ALL ON FUNCTION fn.admins_addressed(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.admins_addressed(text[]) TO rollcall_fleet;

-- Where a person is written to.
CREATE FUNCTION fn.address_of(p_tenant uuid, p_account uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(u.document #>> '{emails,0,value}', a.user_name)
      FROM public.accounts a LEFT JOIN public.users u ON u.tenant_id = a.tenant_id AND u.account_id = a.id
     WHERE a.tenant_id = p_tenant AND a.id = p_account
$$;

-- The tenant in which a passkey is that account's; no row where it is nobody's. An account's id is made here, so that
-- nobody can register somebody else's passkey under it.
CREATE FUNCTION fn.tenant_of_passkey(p_credential bytea, p_account uuid) RETURNS TABLE (id uuid, slug text)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
        SELECT n.id, n.slug FROM public.passkeys k JOIN public.tenants n ON n.id = k.tenant_id
         WHERE k.credential_id = p_credential AND k.credential_id <> '' AND k.account_id = p_account AND k.closed_at IS NULL
         LIMIT 1;
END $$;
REVOKE ALL ON FUNCTION fn.tenant_of_passkey(bytea, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.tenant_of_passkey(bytea, uuid) TO rollcall_fleet;

-- Deletes up to p_limit codes that were asked for before p_before; returns how many.
CREATE FUNCTION fn.forget_mail_codes(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM public.mail_codes WHERE id IN (
        SELECT c.id FROM public.mail_codes c WHERE c.created_at < least(p_before, now()) LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END $$;
REVOKE ALL ON FUNCTION fn.forget_mail_codes(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.forget_mail_codes(timestamptz, integer) TO rollcall_fleet;
