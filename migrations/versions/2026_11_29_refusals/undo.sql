-- Writes one entry. p_call says who called and how: request_id, action, actor_kind, actor_id, actor_label,
-- owner_id, method, path, source and, where there is one, payload (secrets masked by the caller).
CREATE OR REPLACE FUNCTION audit_write(
    p_tenant uuid, p_call jsonb, p_outcome text, p_status integer, p_detail text, p_events text[],
    p_account uuid, p_target text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_id uuid := uuidv7();
    v_payload jsonb := nullif(p_call -> 'payload', 'null'::jsonb);
BEGIN
    INSERT INTO audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_id, actor_label, owner_id,
                               account_id, target, outcome, status, detail, events, method, path, source,
                               payload_digest)
    VALUES (p_tenant, v_at, v_id, p_call ->> 'request_id', p_call ->> 'action', p_call ->> 'actor_kind',
            (p_call ->> 'actor_id')::uuid, p_call ->> 'actor_label', (p_call ->> 'owner_id')::uuid,
            p_account, p_target, p_outcome, p_status, p_detail, p_events, p_call ->> 'method', p_call ->> 'path',
            p_call ->> 'source', sha256(convert_to(v_payload::text, 'UTF8')));
    IF v_payload IS NOT NULL THEN
        INSERT INTO audit_payloads (tenant_id, at, entry_id, payload) VALUES (p_tenant, v_at, v_id, v_payload);
    END IF;
END $$;
