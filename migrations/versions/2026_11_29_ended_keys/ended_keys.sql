-- What decides that somebody may act is true at the commit: the key that a call presented is judged once more after all
-- that the call waited for. What the transaction itself did to its caller does not count against it.

-- Which accounts were those of active admins, and which tokens and console sessions were open, before this transaction
-- changed that: '+' and the id of each that was, '-' and the id of each that was not. Whoever changes a row has its newest
-- state before them and holds it until the commit, so this is what everybody else sees.
CREATE FUNCTION note_before() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_noted text := coalesce(current_setting('rollcall.before', true), '');
    v_sign text := '+';
BEGIN
    IF strpos(v_noted, NEW.id::text) = 0 THEN
        IF TG_TABLE_NAME = 'accounts' THEN
            v_sign := CASE WHEN OLD.active AND OLD.is_admin THEN '+' ELSE '-' END;
        END IF;
        PERFORM set_config('rollcall.before', v_noted || v_sign || NEW.id, true);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_before AFTER UPDATE OF active, is_admin ON accounts FOR EACH ROW
    WHEN ((OLD.active AND OLD.is_admin) <> (NEW.active AND NEW.is_admin)) EXECUTE FUNCTION note_before();
CREATE TRIGGER note_before AFTER UPDATE OF revoked_at, expires_at ON tokens FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND (OLD.expires_at IS NULL OR OLD.expires_at > clock_timestamp())
          AND (NEW.revoked_at IS NOT NULL OR NEW.expires_at IS DISTINCT FROM OLD.expires_at))
    EXECUTE FUNCTION note_before();
CREATE TRIGGER note_before AFTER UPDATE OF closed_at ON sessions FOR EACH ROW
    WHEN (NEW.purpose = 'console' AND OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION note_before();

-- What is noted of it: '+', '-', or nothing where this transaction has not changed it, and outside of still_good, which alone
-- asks about what was before: everybody else is told what is so now.
CREATE FUNCTION noted_before(p_id uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT substr(coalesce(current_setting('rollcall.but_for', true), ''),
                  strpos(coalesce(current_setting('rollcall.but_for', true), ''), p_id::text) - 1, 1)
$$;

-- Whether it is good but for what this transaction has done to it; p_now is whether it is with that. Never NULL, for it
-- decides who may act. A single expression, so that it becomes part of the query that asks.
CREATE FUNCTION good_before(p_id uuid, p_now boolean) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE noted_before(p_id) WHEN '+' THEN true WHEN '-' THEN false ELSE p_now IS TRUE END
$$;

-- As before, but by the clock, for a statement may wait for a lock until after its token has expired; and but for what the
-- transaction itself has done. Volatile as the clock is, or it would not become part of the query that asks.
CREATE OR REPLACE FUNCTION judge_token(t tokens, n tenants, p plans, o accounts) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE
    WHEN t.revoked_because <> 'owner_left' AND NOT good_before(t.id, t.revoked_at IS NULL) THEN 'revoked'
    WHEN NOT good_before(t.id, t.expires_at IS NULL OR t.expires_at > clock_timestamp()) THEN 'expired'
    WHEN NOT good_before(t.id, t.revoked_at IS NULL) THEN 'owner_inactive'
    WHEN t.owner_id IS NOT NULL AND (o.active AND o.epoch = t.epoch) IS NOT TRUE AND noted_before(t.owner_id) <> '+'
        THEN 'owner_inactive'
    WHEN t.owner_id IS NOT NULL AND NOT good_before(t.owner_id, o.is_admin) AND t.scopes && ARRAY['scim', 'scim:read', 'admin']
        THEN 'owner_not_admin'
    WHEN n.status <> 'active' THEN 'suspended'
    WHEN t.scopes && ARRAY['scim', 'scim:read'] AND NOT 'scim' = ANY (p.features) THEN 'plan'
    WHEN t.replaced_by IS NOT NULL THEN 'rotated'
    ELSE 'live'
END $$;

CREATE OR REPLACE FUNCTION console_session(p_tenant uuid, p_id uuid, p_digest bytea)
RETURNS TABLE (account_id uuid, slug text, tenant_name text, user_name text, role text, opened_at timestamptz,
               expires_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT s.account_id, n.slug, n.name, a.user_name,
                        coalesce(n.role_rule #>> ARRAY['roles', a.role, 'label'], a.role), s.created_at, s.expires_at
      FROM sessions s
      JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
      JOIN tenants n ON n.id = s.tenant_id
     WHERE s.tenant_id = p_tenant AND s.id = p_id AND s.purpose = 'console' AND good_before(s.id, s.closed_at IS NULL)
       AND s.expires_at > clock_timestamp() AND a.active AND a.epoch = s.epoch AND n.status = 'active'
       AND same_digest(s.digest, p_digest);
END $$;

-- The last thing that a change does: raises RC401, which undoes all of it, if the key it was made with has ended since
-- the call was let in. p_kind is the token's: scim, pat, op, app, or ses for a session of the console.
CREATE FUNCTION still_good(p_kind text, p_tenant uuid, p_id uuid, p_digest bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE v_good boolean;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;  -- what is left for the commit may wait for others as well
    SET CONSTRAINTS ALL DEFERRED;
    PERFORM set_config('rollcall.but_for', coalesce(current_setting('rollcall.before', true), ''), true);
    v_good := CASE p_kind
        WHEN 'scim' THEN (SELECT g.verdict = 'ok' FROM gate(p_tenant, p_id, p_digest, 'write') g)
        WHEN 'ses' THEN EXISTS (SELECT FROM console_session(p_tenant, p_id, p_digest))
        ELSE EXISTS (SELECT FROM authenticate(p_kind, p_tenant, p_id, p_digest))
    END;
    PERFORM set_config('rollcall.but_for', '', true);
    IF v_good IS NOT TRUE THEN
        RAISE EXCEPTION 'the key ended while the call was under way' USING ERRCODE = 'RC401';
    END IF;
END $$;
