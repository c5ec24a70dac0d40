-- Keys of names of their second version, for people and groups whose stored key is of the first: what is stored stays, so
-- that processes of the version before find it. The rows are made after the revisions, and again whenever a database is
-- migrated (directory/twins.py); one whose first_key is no longer the stored one says nothing.

CREATE TABLE user_name_keys (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    first_key TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_user_name_keys PRIMARY KEY (tenant_id, user_id),
    CONSTRAINT fk_user_name_keys_tenant_id_users FOREIGN KEY (tenant_id, user_id)
        REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_user_name_keys_key ON user_name_keys (tenant_id, key);

CREATE TABLE group_name_keys (
    tenant_id UUID NOT NULL,
    group_id UUID NOT NULL,
    first_key TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_group_name_keys PRIMARY KEY (tenant_id, group_id),
    CONSTRAINT fk_group_name_keys_tenant_id_groups FOREIGN KEY (tenant_id, group_id)
        REFERENCES groups (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_group_name_keys_key ON group_name_keys (tenant_id, key);

ALTER TABLE user_name_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE group_name_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON user_name_keys TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY one_tenant ON group_name_keys TO rollcall_runtime USING (tenant_id = rollcall_tenant());
GRANT SELECT ON user_name_keys, group_name_keys TO rollcall_runtime;

-- By which comparison a tenant's role rule reads names: those that are there go on by the first, as do those that a process
-- of the version before makes meanwhile.
ALTER TABLE tenants
    ADD COLUMN name_comparison SMALLINT DEFAULT 1 NOT NULL,
    ADD CONSTRAINT ck_tenants_name_comparison CHECK (name_comparison IN (1, 2));
GRANT UPDATE (name_comparison) ON tenants TO rollcall_runtime;
