-- The first people of tenants that were made in the same transaction.

-- Takes people in, by tenant: p_people is a list of {tenant, change, payload}, a UserChange of Python and what the audit
-- says of it; p_call is as for audit_write. Nobody else sees these tenants yet, so no turn is taken for seats, names or the
-- role rule: thousands of those would be more locks than PostgreSQL holds. Returns the tenant for whom no seat was left,
-- NULL if everybody is in. Whoever calls sees one tenant at a time, by row-level security; this turns to one after the other.
CREATE FUNCTION fn.take_in_founders(p_people jsonb, p_call jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_one jsonb;
    v_tenant uuid;
    v_left bigint;
    c fn.user_change;
BEGIN
    FOR v_one IN SELECT jsonb_array_elements(p_people) LOOP
        IF v_tenant IS DISTINCT FROM (v_one ->> 'tenant')::uuid THEN
            v_tenant := v_one ->> 'tenant';
            PERFORM set_config('rollcall.tenant', v_tenant::text, true);
            SELECT CASE WHEN s.policy = 'refuse' THEN s.free END INTO v_left FROM fn.seats_of(v_tenant) s;
        END IF;
        IF v_left <= 0 THEN
            RETURN v_tenant;
        END IF;
        c := fn.write_new_user(v_tenant, v_one -> 'change');
        PERFORM fn.audit_write(v_tenant, p_call || jsonb_build_object('payload', v_one -> 'payload'), 'done', NULL, NULL,
                               c.events, c.account_id, c.id::text);
        v_left := v_left - 1;
    END LOOP;
    RETURN NULL;
END $$;
