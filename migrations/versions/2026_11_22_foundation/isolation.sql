-- Isolation: what each role may touch, and row-level security under it.
-- rollcall_runtime serves one tenant at a time; without the setting it sees no row of any tenant.
-- rollcall_fleet works across tenants and is kept away from people, sessions and documents.

CREATE FUNCTION rollcall_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('rollcall.tenant', true), '')::uuid $$;

DO $$
DECLARE v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['accounts', 'tokens', 'sessions', 'receipts', 'users', 'user_emails',
                                   'groups', 'group_users', 'group_children', 'group_closure',
                                   'conflict_cases', 'outbox', 'audit_entries', 'audit_payloads', 'deviations']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO rollcall_runtime USING (tenant_id = rollcall_tenant())', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['tokens', 'outbox', 'audit_entries', 'audit_payloads', 'deviations']
    LOOP
        EXECUTE format('CREATE POLICY fleet ON %I TO rollcall_fleet USING (true)', v_table);
    END LOOP;
END $$;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON tenants TO rollcall_runtime USING (id = rollcall_tenant());
CREATE POLICY fleet ON tenants TO rollcall_fleet USING (true);

GRANT SELECT ON plans, tenants, installation_keys TO rollcall_runtime;
GRANT UPDATE (role_rule, role_rule_version) ON tenants TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE ON accounts, tokens, sessions, receipts, users, user_emails, groups, group_users,
    group_children, group_closure, conflict_cases, outbox TO rollcall_runtime;
GRANT DELETE ON sessions, users, user_emails, groups, group_users, group_children, group_closure TO rollcall_runtime;
GRANT SELECT, INSERT ON audit_entries, audit_payloads TO rollcall_runtime;
GRANT SELECT ON deviations TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE ON deviations TO rollcall_fleet;

GRANT SELECT, INSERT, UPDATE, DELETE ON plans TO rollcall_fleet;
GRANT SELECT, INSERT, UPDATE ON tenants, installation_keys, refused_calls TO rollcall_fleet;
GRANT DELETE ON refused_calls TO rollcall_fleet;
GRANT SELECT, UPDATE, DELETE, INSERT ON outbox TO rollcall_fleet;
GRANT SELECT, INSERT ON audit_entries, audit_payloads TO rollcall_fleet;
GRANT SELECT (tenant_id, id, last_used_at), UPDATE (last_used_at, last_used_from) ON tokens TO rollcall_fleet;
GRANT SELECT ON alembic_version TO rollcall_runtime;
