-- The last admin: keep_one has a deputy, who was named before, become an admin in the transaction in which the last one stops.

-- The deputy is an account of the tenant's; no foreign key, or each change of an account would look whether it is one.
ALTER TABLE tenants
    ADD COLUMN last_admin TEXT DEFAULT 'obey' NOT NULL,
    ADD COLUMN deputy_id UUID,
    ADD CONSTRAINT ck_tenants_last_admin CHECK (last_admin IN ('obey', 'keep_one'));
GRANT UPDATE (deputy_id) ON tenants TO rollcall_runtime;

-- Makes the deputy of a tenant that has no active admin one, by the first admin role of its rule, as if given by hand; tells of
-- it, and returns whether there is one now. The fleet writes no accounts, and its transactions come here too.
-- Locks: the role rule, shared, so that no role is given that an edit takes away; the deputy's account.
CREATE FUNCTION appoint_deputy(p_tenant uuid, p_request_id text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_deputy uuid;
    v_role text;
    v_account public.accounts;
    v_managed boolean;
    v_given jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM public.tenants
                    WHERE id = p_tenant AND last_admin = 'keep_one' AND deputy_id IS NOT NULL) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('role rule ' || p_tenant, 0));
    SELECT n.deputy_id, (SELECT r.key FROM jsonb_each(n.role_rule -> 'roles') WITH ORDINALITY r (key, definition, place)
                          WHERE (r.definition ->> 'admin')::boolean ORDER BY r.place LIMIT 1)
      INTO v_deputy, v_role FROM public.tenants n WHERE n.id = p_tenant AND n.last_admin = 'keep_one';
    SELECT * INTO v_account FROM public.accounts WHERE tenant_id = p_tenant AND id = v_deputy AND active FOR UPDATE;
    IF v_account.id IS NULL OR v_role IS NULL
       OR EXISTS (SELECT FROM public.accounts WHERE tenant_id = p_tenant AND active AND is_admin) THEN
        RETURN EXISTS (SELECT FROM public.accounts WHERE tenant_id = p_tenant AND active AND is_admin);
    END IF;
    v_managed := (v_account.role_state ->> 'managed')::boolean;
    v_given := jsonb_build_object(
        'role', v_role, 'origin', CASE WHEN v_managed THEN 'override' ELSE 'hand' END,
        CASE WHEN v_managed THEN 'override' ELSE 'by_hand' END, v_role);
    UPDATE public.accounts SET role = v_role, is_admin = true, role_state = role_state || v_given
     WHERE tenant_id = p_tenant AND id = v_deputy;
    v_given := jsonb_build_object('account_id', v_deputy, 'user_name', v_account.user_name, 'role', v_role);
    INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload) VALUES
        (p_tenant, 'user.role_changed', v_deputy, p_request_id, jsonb_build_object(
            'before', v_account.role, 'after', v_role, 'origin', CASE WHEN v_managed THEN 'override' ELSE 'hand' END)),
        (p_tenant, 'tenant.deputy_appointed', v_deputy, p_request_id, v_given);
    INSERT INTO public.audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_label, account_id, target,
                                      outcome, events)
    VALUES (p_tenant, clock_timestamp(), uuidv7(), p_request_id, 'tenant.deputy_appointed', 'system', 'rollcall', v_deputy,
            v_deputy::text, 'done', ARRAY['user.role_changed', 'tenant.deputy_appointed']);
    INSERT INTO public.notices (tenant_id, topic, payload) VALUES (p_tenant, 'tenant.deputy_appointed', v_given);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION appoint_deputy(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION appoint_deputy(uuid, text) TO rollcall_runtime, rollcall_fleet;

-- As it was; where nobody is an active admin any more, a deputy becomes one first.
CREATE OR REPLACE FUNCTION tell_without_admin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_tenant text := current_setting('rollcall.tenant', true);
    v_request_id text;
BEGIN
    IF current_setting('rollcall.told_without_admin', true) = NEW.tenant_id::text THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('rollcall.tenant', NEW.tenant_id::text, true);
    -- Two last admins who stop at the same moment wait for each other here, or neither would be the last.
    PERFORM pg_advisory_xact_lock(hashtextextended('admins ' || NEW.tenant_id, 0));
    IF NOT EXISTS (SELECT FROM public.accounts WHERE tenant_id = NEW.tenant_id AND active AND is_admin) THEN
        -- The request is the one whose change this transaction has just announced.
        SELECT request_id INTO v_request_id FROM public.outbox
         WHERE tenant_id = NEW.tenant_id AND id >= uuidv7(transaction_timestamp() - clock_timestamp())
           AND (account_id = NEW.id OR account_id IS NULL)
         ORDER BY id DESC LIMIT 1;
        v_request_id := coalesce(v_request_id, 'none');
        IF NOT public.appoint_deputy(NEW.tenant_id, v_request_id) THEN
            INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
            VALUES (NEW.tenant_id, 'tenant.without_admin', NEW.id, v_request_id, '{}');
            INSERT INTO public.audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_label, account_id,
                                              target, outcome, events)
            VALUES (NEW.tenant_id, clock_timestamp(), uuidv7(), v_request_id, 'tenant.without_admin', 'system', 'rollcall',
                    NEW.id, NEW.id::text, 'done', ARRAY['tenant.without_admin']);
            PERFORM set_config('rollcall.told_without_admin', NEW.tenant_id::text, true);
        END IF;
    END IF;
    PERFORM set_config('rollcall.tenant', coalesce(v_tenant, ''), true);
    RETURN NULL;
END $$;
