-- Isolation: what each role may touch, and row-level security under it.
-- rollcall_runtime serves one tenant at a time; without the setting it sees no row of any tenant.
-- rollcall_fleet works across tenants and is kept away from people, sessions and documents.

CREATE FUNCTION rollcall_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('rollcall.tenant', true), '')::uuid $$;

DO $$
DECLARE v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['accounts', 'tokens', 'sessions', 'passkeys', 'passkey_challenges',
                                   'external_credentials', 'receipts', 'mass_changes', 'users', 'user_emails', 'user_counts',
                                   'groups', 'group_users', 'group_children', 'group_strangers', 'group_closure',
                                   'conflict_cases', 'outbox', 'destinations', 'deliveries',
                                   'audit_entries', 'audit_payloads', 'deviations']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO rollcall_runtime USING (tenant_id = rollcall_tenant())', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['tokens', 'mass_changes', 'outbox', 'destinations', 'deliveries', 'audit_entries', 'audit_payloads', 'deviations']
    LOOP
        EXECUTE format('CREATE POLICY fleet ON %I TO rollcall_fleet USING (true)', v_table);
    END LOOP;
END $$;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON tenants TO rollcall_runtime USING (id = rollcall_tenant());
CREATE POLICY fleet ON tenants TO rollcall_fleet USING (true);

GRANT SELECT ON plans, tenants, installation_keys TO rollcall_runtime;
GRANT UPDATE (role_rule, role_rule_version) ON tenants TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE ON accounts, tokens, sessions, passkeys, external_credentials, receipts, mass_changes, users, user_emails, user_counts, groups, group_users,
    group_children, group_strangers, group_closure, conflict_cases, outbox TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON passkey_challenges TO rollcall_runtime;  -- UPDATE to lock with
GRANT DELETE ON sessions, passkeys, users, user_emails, groups, group_users, group_children, group_strangers, group_closure TO rollcall_runtime;
GRANT SELECT, INSERT ON audit_entries, audit_payloads TO rollcall_runtime;
GRANT SELECT ON deviations TO rollcall_runtime;
-- A request signs with a key; making and retiring them is the fleet's.
GRANT SELECT ON signing_keys TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE (retired_at, active_from, revoked_at, sealed_private_key) ON signing_keys TO rollcall_fleet;
GRANT SELECT ON mass_changes TO rollcall_fleet;
GRANT SELECT, INSERT, UPDATE ON deviations TO rollcall_fleet;

GRANT SELECT, INSERT, UPDATE, DELETE ON plans TO rollcall_fleet;
GRANT SELECT, INSERT, UPDATE ON tenants, installation_keys, refused_calls TO rollcall_fleet;
GRANT DELETE ON refused_calls TO rollcall_fleet;
GRANT SELECT, UPDATE, DELETE, INSERT ON outbox TO rollcall_fleet;
GRANT SELECT, INSERT ON audit_entries, audit_payloads TO rollcall_fleet;
GRANT SELECT (tenant_id, id, last_used_at), UPDATE (last_used_at, last_used_from) ON tokens TO rollcall_fleet;
-- The installation's destinations are rows of the tenant that is all zeroes; the fleet leases them and reads no secret.
GRANT SELECT, INSERT, UPDATE ON destinations, deliveries TO rollcall_runtime;
GRANT SELECT (tenant_id, id, kind, label, topics, disabled_at, deleted_at, failures, failing_since, next_try_at, leased_until),
    UPDATE (failures, failing_since, next_try_at, leased_until), DELETE ON destinations TO rollcall_fleet;
GRANT SELECT, INSERT, UPDATE ON deliveries TO rollcall_fleet;
GRANT SELECT ON alembic_version TO rollcall_runtime;
