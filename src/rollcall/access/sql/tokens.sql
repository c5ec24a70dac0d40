-- Tokens and keys: one judgement for the gate, for the management API and for every list.

-- Compares two digests without telling by its duration how much of them agrees: what is compared are their digests.
-- A single expression, so that it becomes part of the query that asks.
CREATE FUNCTION fn.same_digest(p_kept bytea, p_given bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT sha256(p_kept) = sha256(p_given) $$;

-- What a transaction has noted of it before changing it (note_what_was, a function of the revisions): '+' it was good, '-' it
-- was not, '' it did not change it. p_before: whether to ask about that at all; false asks about what is so now, and costs
-- nothing where it is a constant.
CREATE FUNCTION fn.noted(p_before boolean, p_id uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN p_before THEN coalesce(
       substr(current_setting('rollcall.before_' || right(p_id::text, 2), true),
              strpos(current_setting('rollcall.before_' || right(p_id::text, 2), true), p_id::text) - 1, 1), '')
       ELSE '' END $$;

-- Whether this transaction has noted anything.
CREATE FUNCTION fn.has_notes() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('rollcall.noted', true), '') <> '' $$;

-- Whether it is good but for what the transaction has done to it; p_now is whether it is with that. Never NULL, for it
-- decides who may act. A single expression, so that it becomes part of the query that asks.
CREATE FUNCTION fn.good_before(p_before boolean, p_id uuid, p_now boolean) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE fn.noted(p_before, p_id) WHEN '+' THEN true WHEN '-' THEN false ELSE p_now IS TRUE END $$;

-- How a token stands whose owner is no longer an active admin: p_state, or restricted where the tenant has chosen that it goes
-- on for what takes away, and it would work if nobody owned it; suspended where that comes in between. p_status stands for the
-- tenant's. No single expression, and by keys, so that whoever has an owner does not pay for it.
CREATE FUNCTION fn.without_owner(p_state text, p_tenant uuid, p_token uuid, p_status text, p_before boolean) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    t public.tokens;
    n public.tenants;
    p public.plans;
    v_state text;
BEGIN
    SELECT * INTO n FROM public.tenants WHERE id = p_tenant;
    SELECT * INTO t FROM public.tokens WHERE tenant_id = p_tenant AND id = p_token;
    IF NOT FOUND THEN  -- it is forgotten since, long after its end
        RETURN p_state;
    END IF;
    IF n.owner_leaves IS DISTINCT FROM 'offboarding_only' OR NOT 'scim' = ANY (t.scopes) THEN
        RETURN p_state;
    END IF;
    SELECT * INTO p FROM public.plans WHERE key = n.plan;
    n.status := p_status;
    t.owner_id := NULL;
    v_state := fn.judge_rows(t, n, p, NULL, p_before);
    RETURN CASE WHEN v_state IN ('live', 'rotated', 'handed_over', 'paused', 'takes_only') THEN 'restricted'
                WHEN v_state = 'suspended' THEN v_state ELSE p_state END;
END $$;

-- Judges a token by its row, its tenant, the tenant's plan and its owner, in the order in which a caller is told.
--   revoked          ended by hand
--   expired          its time is over, or it was replaced and the overlap is over
--   owner_inactive   its owner may not come in, or was out since it was issued
--   owner_not_admin  its owner is no longer an admin; only tokens that open Rollcall itself need one
--   suspended        its tenant is
--   plan             it is for SCIM, and the plan does not include that: never did, or no longer lets anything pass
--   takes_only       it is for SCIM, and works for what reads or only takes away, as the plan includes SCIM no more
--   restricted       so it does as its owner is no longer an active admin, and the tenant has chosen that it goes on
--   paused           it is for SCIM, and works for what reads or only takes away, until the tenant's pause is over
--   rotated          it works, and has been replaced: until it expires
--   handed_over      it works, and its former owner may know it: until it expires, it is to be replaced
--   live             it works
-- By the clock, for a statement may wait for a lock until after its token has expired; p_before as for good_before.
CREATE FUNCTION fn.judge_rows(
    t public.tokens, n public.tenants, p public.plans, o public.accounts, p_before boolean
) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE
    WHEN t.revoked_because <> 'owner_left' AND NOT fn.good_before(p_before, t.id, t.revoked_at IS NULL) THEN 'revoked'
    WHEN NOT fn.good_before(p_before, t.id, t.expires_at IS NULL OR t.expires_at > clock_timestamp()) THEN 'expired'
    WHEN NOT fn.good_before(p_before, t.id, t.revoked_at IS NULL) THEN 'owner_inactive'
    WHEN t.owner_id IS NOT NULL AND (o.active AND o.epoch = t.epoch) IS NOT TRUE AND fn.noted(p_before, t.owner_id) <> '+'
        THEN fn.without_owner('owner_inactive', t.tenant_id, t.id, n.status, p_before)
    WHEN t.owner_id IS NOT NULL AND NOT fn.good_before(p_before, t.owner_id, o.is_admin)
         AND t.scopes && ARRAY['scim', 'scim:read', 'admin', 'auditor']
        THEN fn.without_owner('owner_not_admin', t.tenant_id, t.id, n.status, p_before)
    WHEN n.status <> 'active' THEN 'suspended'
    WHEN t.scopes && ARRAY['scim', 'scim:read'] AND NOT fn.has_feature(n, p, 'scim')
         AND fn.after_loss(n.lapsed_at, n.offboarding_from, n.closes_at) <> 'grace'
        THEN CASE fn.after_loss(n.lapsed_at, n.offboarding_from, n.closes_at)
                 WHEN 'offboarding_only' THEN 'takes_only' ELSE 'plan' END
    WHEN n.paused_until > clock_timestamp() AND t.scopes && ARRAY['scim', 'scim:read'] THEN 'paused'
    WHEN t.replaced_by IS NOT NULL THEN 'rotated'
    WHEN t.handed_over_at IS NOT NULL THEN 'handed_over'
    ELSE 'live'
END $$;

-- The same of rows that are read anew; p_status stands for the tenant's.
CREATE FUNCTION fn.judge_closely(p_tenant uuid, p_token uuid, p_status text, p_before boolean) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    t public.tokens;
    n public.tenants;
    p public.plans;
    o public.accounts;
BEGIN
    SELECT * INTO t FROM public.tokens WHERE tenant_id = p_tenant AND id = p_token;
    IF NOT FOUND THEN  -- it is forgotten since, long after its end
        RETURN 'revoked';
    END IF;
    SELECT * INTO n FROM public.tenants WHERE id = p_tenant;
    n.status := p_status;
    SELECT * INTO p FROM public.plans WHERE key = n.plan;
    SELECT * INTO o FROM public.accounts WHERE tenant_id = p_tenant AND id = t.owner_id;
    RETURN fn.judge_rows(t, n, p, o, p_before);
END $$;

-- Whether there is nothing at all to say against a token that is used for SCIM, or of it: judge_rows says `live` then. A
-- single expression, and a short one, for every call pays for each operator in it.
CREATE FUNCTION fn.is_plainly_live(t public.tokens, n public.tenants, p public.plans, o public.accounts) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
      AND (t.owner_id IS NULL OR (o.active AND o.is_admin AND o.epoch = t.epoch)) AND n.status = 'active'
      AND (n.paused_until IS NULL OR n.paused_until <= clock_timestamp())
      AND ('scim' = ANY (p.features) OR (n.lapsed_at IS NOT NULL AND n.offboarding_from > clock_timestamp()))
      AND t.replaced_by IS NULL AND t.handed_over_at IS NULL $$;

-- Judges a token by its row, its tenant, the tenant's plan and its owner, as judge_rows says: live if it plainly is, and all
-- others are looked at closely. A single expression, volatile as the clock is, so that it becomes part of the query that asks.
CREATE FUNCTION fn.judge_token(
    t public.tokens, n public.tenants, p public.plans, o public.accounts, p_before boolean
) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT CASE WHEN NOT p_before AND fn.is_plainly_live(t, n, p, o) THEN 'live'
               ELSE fn.judge_closely(t.tenant_id, t.id, n.status, p_before) END $$;

-- The judgement of one token by its key, as lists ask; NULL if the tenant has no such token. Its plan is kept, as lapse_of's is.
CREATE FUNCTION fn.token_state(p_tenant uuid, p_token uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
SET plan_cache_mode = auto AS
$$ SELECT fn.judge_token(t, n, p, o, false)
     FROM public.tokens t
     JOIN public.tenants n ON n.id = t.tenant_id
     JOIN public.plans p ON p.key = n.plan
     LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
    WHERE t.tenant_id = p_tenant AND t.id = p_token $$;

-- Whether a token's scopes let it read, or write, over SCIM. p_needs is read or write.
CREATE FUNCTION fn.may_use(p_scopes text[], p_needs text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT 'scim' = ANY (p_scopes) OR (p_needs = 'read' AND 'scim:read' = ANY (p_scopes)) $$;

-- The key of an operator, the product or a tenant's admin, judged for the management API; p_before as for good_before.
CREATE FUNCTION fn.authenticate(p_kind text, p_tenant uuid, p_id uuid, p_digest bytea, p_before boolean)
RETURNS TABLE (label text, owner_id uuid, slug text, is_auditor boolean, role text) LANGUAGE plpgsql AS $$
BEGIN
    IF p_kind IN ('op', 'app') THEN
        RETURN QUERY SELECT k.label, NULL::uuid, NULL::text, false, CASE WHEN p_kind = 'op' THEN coalesce(k.role, 'ops') END
          FROM public.installation_keys k
          WHERE k.id = p_id AND k.kind = p_kind AND k.revoked_at IS NULL AND fn.same_digest(k.digest, p_digest);
        RETURN;
    END IF;
    PERFORM set_config('rollcall.tenant', p_tenant::text, true);
    RETURN QUERY SELECT t.label, t.owner_id, n.slug, NOT 'admin' = ANY (t.scopes), NULL::text
      FROM public.tokens t
      JOIN public.tenants n ON n.id = t.tenant_id
      JOIN public.plans p ON p.key = n.plan
      LEFT JOIN public.accounts o ON o.tenant_id = t.tenant_id AND o.id = t.owner_id
     WHERE t.tenant_id = p_tenant AND t.id = p_id
       AND ('admin' = ANY (t.scopes) AND o.id IS NOT NULL OR t.scopes = ARRAY['auditor'])
       AND fn.judge_token(t, n, p, o, p_before) IN ('live', 'rotated') AND fn.same_digest(t.digest, p_digest);  -- what is an admin's own is never handed over
END $$;
