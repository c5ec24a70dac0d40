-- The audit: entries as they are written, and the months they are kept in.

-- Writes one entry. p_call says who called and how: request_id, action, actor_kind, actor_id, actor_label,
-- owner_id, method, path, source and, where there is one, payload (secrets masked by the caller).
-- Refusals: none is entered with a status that `counted` names, because its caller counts it; and of a payload of more
-- than 16,384 bytes its digest, size and first 1,024 characters are kept. The entry's digest is of what is kept.
CREATE FUNCTION fn.audit_write(
    p_tenant uuid, p_call jsonb, p_outcome text, p_status integer, p_detail text, p_events text[],
    p_account uuid, p_target text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fn.audit_by(
        p_tenant, p_call ->> 'actor_kind', (p_call ->> 'actor_id')::uuid, p_call ->> 'actor_label',
        (p_call ->> 'owner_id')::uuid, p_call, p_outcome, p_status, p_detail, p_events, p_account, p_target);
END $$;

-- The same where the caller knows whose call it is.
CREATE FUNCTION fn.audit_by(
    p_tenant uuid, p_kind text, p_actor uuid, p_label text, p_owner uuid, p_call jsonb, p_outcome text, p_status integer,
    p_detail text, p_events text[], p_account uuid, p_target text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_id uuid := uuidv7();
    v_payload jsonb := nullif(p_call -> 'payload', 'null'::jsonb);
    v_text text := v_payload::text;
BEGIN
    IF p_outcome = 'refused' THEN
        IF p_call -> 'counted' @> to_jsonb(p_status) THEN
            RETURN;
        END IF;
        IF octet_length(v_text) > 16384 THEN
            v_payload := jsonb_build_object(
                'cut', true, 'bytes', octet_length(v_text), 'begins', left(v_text, 1024),
                'sha256', encode(sha256(convert_to(v_text, 'UTF8')), 'hex'));
            v_text := v_payload::text;
        END IF;
    END IF;
    INSERT INTO public.audit_entries (tenant_id, at, id, request_id, action, actor_kind, actor_id, actor_label, owner_id,
                               account_id, target, outcome, status, detail, events, method, path, source,
                               payload_digest)
    VALUES (p_tenant, v_at, v_id, p_call ->> 'request_id', p_call ->> 'action', p_kind, p_actor, p_label, p_owner, p_account, p_target, p_outcome, p_status, p_detail, p_events, p_call ->> 'method', p_call ->> 'path',
            p_call ->> 'source', sha256(convert_to(v_text, 'UTF8')));
    IF v_payload IS NOT NULL THEN
        INSERT INTO public.audit_payloads (tenant_id, at, entry_id, payload) VALUES (p_tenant, v_at, v_id, v_payload);
    END IF;
END $$;
