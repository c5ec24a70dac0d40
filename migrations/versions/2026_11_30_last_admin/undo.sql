-- The trigger as it was, and no deputies.

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
        INSERT INTO public.outbox (tenant_id, topic, account_id, request_id, payload)
        VALUES (NEW.tenant_id, 'tenant.without_admin', NEW.id, v_request_id, '{}');
        INSERT INTO public.audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_label, account_id,
                                          target, outcome, events)
        VALUES (NEW.tenant_id, clock_timestamp(), uuidv7(), v_request_id, 'tenant.without_admin', 'system', 'rollcall',
                NEW.id, NEW.id::text, 'done', ARRAY['tenant.without_admin']);
        PERFORM set_config('rollcall.told_without_admin', NEW.tenant_id::text, true);
    END IF;
    PERFORM set_config('rollcall.tenant', coalesce(v_tenant, ''), true);
    RETURN NULL;
END $$;

DROP FUNCTION appoint_deputy(uuid, text);
ALTER TABLE tenants DROP COLUMN deputy_id, DROP COLUMN last_admin;
