-- The way back from the foundation: everything it made, in reverse.

DROP FUNCTION folded;
DROP FUNCTION scim_find_groups, scim_refuse_group, scim_settle, scim_touched, scim_delete_group, scim_change_members, scim_write_group,
    close_cases_of_group,
    write_group, name_members, write_strangers, everybody_under, everybody_in, rebuild_closure, scim_members, scim_admit_group, names_above, group_names_of, groups_of, groups_of_each,
    members_of, opened_group;
DROP TYPE touched_person, group_change, group_result;
DROP FUNCTION scim_me, scim_delete_user, scim_replace_user, scim_deactivate_user, remove_user, scim_save_user, write_user, write_emails, scim_create_user, event_names,
    write_new_user, hold_rule, held_rule_version, hold_external_id, bring_rule, announce, settle_cases, scim_note, close_cases, open_case, scim_page, scim_find, scim_find_user_name, scim_admit,
    moved_on, opened;
DROP TYPE change_result, user_result;
DROP FUNCTION told_of_departures, mark_ended, claim_deliveries, lease_destinations, fan_out;
DROP FUNCTION complete_receipts, hold_receipts, settle_departures, leave, console_session, introspect, authenticate, audit_call, gate, same_digest;
DROP TYPE gate_result;
DROP FUNCTION audit_write, ensure_audit_partitions;
DROP FUNCTION people_in;
DROP TABLE deliveries, destinations, group_closure, group_strangers, group_children, group_users, groups, user_emails, users, user_counts, conflict_cases, receipts, mass_changes, signing_keys, sessions,
    passkeys, passkey_challenges, external_credentials, tokens, accounts, tenants, plans, installation_keys,
    outbox, refused_calls, deviations, audit_entries, audit_payloads;
DROP FUNCTION count_people, refuse_rewriting, rollcall_tenant, tell_without_admin;
REVOKE ALL ON alembic_version FROM rollcall_runtime;
