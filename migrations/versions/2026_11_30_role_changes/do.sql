-- A change that gives more people another role than one transaction should: an edit of a tenant's role rule, or of a group
-- that decides roles. Whom it has not come to yet stands in role_change_people, and a worker brings it to them in batches;
-- how far it is, and whose turn it is, in role_changes, a row for a tenant. No foreign key to accounts: each row would lock
-- its account, and whoever leaves would wait for it.

CREATE TABLE role_changes (
    tenant_id UUID NOT NULL,
    request_id TEXT NOT NULL,
    people INTEGER NOT NULL,
    began_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    leased_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_role_changes PRIMARY KEY (tenant_id),
    CONSTRAINT fk_role_changes_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX ix_role_changes_open ON role_changes (began_at) WHERE ended_at IS NULL;

CREATE TABLE role_change_people (
    tenant_id UUID NOT NULL,
    account_id UUID NOT NULL,
    CONSTRAINT pk_role_change_people PRIMARY KEY (tenant_id, account_id)
);

ALTER TABLE role_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE role_change_people ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON role_changes TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY one_tenant ON role_change_people TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY fleet ON role_changes TO rollcall_fleet USING (true);
GRANT SELECT, INSERT, UPDATE ON role_changes TO rollcall_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON role_change_people TO rollcall_runtime;
GRANT SELECT, UPDATE (leased_until) ON role_changes TO rollcall_fleet;

-- What finds a departure that is not fanned out yet behind whatever else is not.
CREATE INDEX ix_outbox_new_departures ON outbox (id) WHERE fanned_out_at IS NULL AND topic = 'user.deactivated';

-- Roles are written in place where a page has room, without a new entry in each index.
ALTER TABLE accounts SET (fillfactor = 85);
