-- Functions leave the revisions: each version installs its own into a schema of their own. What triggers and policies call
-- stays here, calls nothing that has versions, and names tables by their schema.

CREATE OR REPLACE FUNCTION count_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.user_counts AS kept (tenant_id, part, people)
    SELECT tenant_id, pg_backend_pid() % 32, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
      FROM changed GROUP BY tenant_id
    ON CONFLICT (tenant_id, part) DO UPDATE SET people = kept.people + excluded.people;
    RETURN NULL;
END $$;

-- As it was, and it writes its entry of the audit by itself.
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

DROP FUNCTION
    announce, audit_call, audit_write, authenticate, bring_rule, claim_deliveries, close_cases,
    close_cases_of_group, complete_receipts, console_session, count_unknown_roles, ensure_audit_partitions,
    event_names, everybody_in, everybody_under, fan_out, folded, gate, good_before, group_names_of, groups_of,
    groups_of_each, held_rule_version, hold_external_id, hold_idempotency_key, hold_receipts, hold_rule, introspect,
    judge_token, lease_destinations, leave, mark_ended, may_use, members_of, moved_on, name_members, names_above,
    noted_before, open_case, open_unknown_role, opened, opened_group, people_in, rebuild_closure, remove_user,
    same_digest, scim_admit, scim_admit_group, scim_change_members, scim_create_user, scim_deactivate_user,
    scim_delete_group, scim_delete_user, scim_find, scim_find_groups, scim_find_user_name, scim_me, scim_members,
    scim_note, scim_page, scim_refuse_group, scim_replace_user, scim_save_user, scim_settle, scim_touched,
    scim_write_group, settle_cases, settle_departures, still_good, token_state, told_of_departures, try_writing,
    write_emails, write_group, write_new_user, write_strangers, write_user;
DROP TYPE change_result, gate_result, group_change, group_result, touched_person, user_result;

ALTER TABLE accounts RENAME COLUMN standing TO role_state;
ALTER TABLE accounts RENAME COLUMN facts TO group_revision;
ALTER TABLE group_strangers RENAME TO group_unknown_members;
ALTER TABLE group_unknown_members RENAME CONSTRAINT pk_group_strangers TO pk_group_unknown_members;

-- The schemas of functions that were installed, and when a process last said that it uses one.
CREATE TABLE function_schemas (
    name TEXT NOT NULL,
    installed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    reported_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_function_schemas PRIMARY KEY (name)
);
GRANT SELECT, UPDATE (reported_at) ON function_schemas TO rollcall_runtime;
