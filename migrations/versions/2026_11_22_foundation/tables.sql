-- The tables, their keys and their indexes.

CREATE TABLE accounts (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_name TEXT NOT NULL,
    external_id TEXT COLLATE "C",
    active BOOLEAN NOT NULL,
    epoch INTEGER DEFAULT 1 NOT NULL,
    role TEXT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    standing JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deactivated_at TIMESTAMP WITH TIME ZONE,
    deactivated_because TEXT,
    detached_at TIMESTAMP WITH TIME ZONE,
    linked_to UUID,
    facts INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ix_accounts_admins ON accounts (tenant_id) WHERE active AND is_admin;
CREATE INDEX ix_accounts_departed ON accounts (tenant_id, deactivated_at) WHERE deactivated_at IS NOT NULL;
CREATE INDEX ix_accounts_detached ON accounts (tenant_id, external_id) WHERE detached_at IS NOT NULL AND external_id IS NOT NULL;

CREATE TABLE audit_entries (
    tenant_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id UUID,
    actor_label TEXT NOT NULL,
    owner_id UUID,
    account_id UUID,
    target TEXT,
    outcome TEXT NOT NULL,
    status INTEGER,
    detail TEXT,
    events TEXT[] DEFAULT '{}' NOT NULL,
    method TEXT,
    path TEXT,
    source TEXT,
    payload_digest BYTEA,
    CONSTRAINT pk_audit_entries PRIMARY KEY (tenant_id, at, id),
    CONSTRAINT ck_audit_entries_outcome CHECK (outcome IN ('done', 'refused'))
) PARTITION BY RANGE (at);
CREATE INDEX ix_audit_entries_person ON audit_entries (tenant_id, account_id, at);

CREATE TABLE audit_payloads (
    tenant_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    entry_id UUID NOT NULL,
    payload JSONB NOT NULL,
    CONSTRAINT pk_audit_payloads PRIMARY KEY (tenant_id, at, entry_id)
) PARTITION BY RANGE (at);

CREATE TABLE destinations (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    label TEXT NOT NULL,
    topics TEXT[] DEFAULT '{}' NOT NULL,
    audience TEXT,
    secrets JSONB DEFAULT '[]' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    disabled_at TIMESTAMP WITH TIME ZONE,
    disabled_because TEXT,
    deleted_at TIMESTAMP WITH TIME ZONE,
    failures INTEGER DEFAULT 0 NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    next_try_at TIMESTAMP WITH TIME ZONE,
    leased_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_destinations PRIMARY KEY (tenant_id, id)
);

CREATE TABLE deviations (
    tenant_id UUID NOT NULL,
    day DATE NOT NULL,
    habit TEXT NOT NULL,
    times INTEGER NOT NULL,
    CONSTRAINT pk_deviations PRIMARY KEY (tenant_id, day, habit)
);

CREATE TABLE installation_keys (
    id UUID DEFAULT uuidv7() NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    digest BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_installation_keys PRIMARY KEY (id),
    CONSTRAINT ck_installation_keys_kind CHECK (kind IN ('op', 'app'))
);

CREATE TABLE outbox (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    topic TEXT NOT NULL,
    account_id UUID,
    payload JSONB NOT NULL,
    request_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    fanned_out_at TIMESTAMP WITH TIME ZONE,
    done_at TIMESTAMP WITH TIME ZONE,
    dead_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT pk_outbox PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ix_outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX ix_outbox_due ON outbox (next_try_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX ix_outbox_new ON outbox (id) WHERE fanned_out_at IS NULL;

CREATE TABLE plans (
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    features TEXT[] NOT NULL,
    seats INTEGER,
    rate_per_second INTEGER DEFAULT 50 NOT NULL,
    rate_burst INTEGER DEFAULT 200 NOT NULL,
    retention_days INTEGER DEFAULT 400 NOT NULL,
    CONSTRAINT pk_plans PRIMARY KEY (key),
    CONSTRAINT ck_plans_rate CHECK (rate_per_second = 0 OR rate_per_second >= 25)
);

CREATE TABLE refused_calls (
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    calls INTEGER NOT NULL,
    CONSTRAINT pk_refused_calls PRIMARY KEY (minute, source)
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL,
    sealed_private_key TEXT NOT NULL,
    public_jwk JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    active_from TIMESTAMP WITH TIME ZONE NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_signing_keys PRIMARY KEY (kid)
);

CREATE TABLE user_counts (
    tenant_id UUID NOT NULL,
    part SMALLINT NOT NULL,
    people BIGINT NOT NULL,
    CONSTRAINT pk_user_counts PRIMARY KEY (tenant_id, part)
);

CREATE TABLE deliveries (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    destination_tenant_id UUID NOT NULL,
    destination_id UUID NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    message_id UUID NOT NULL,
    topic TEXT NOT NULL,
    account_id UUID,
    line_id UUID NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    give_up_at TIMESTAMP WITH TIME ZONE NOT NULL,
    first_tried_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    last_status INTEGER,
    last_error TEXT,
    took_ms INTEGER,
    CONSTRAINT pk_deliveries PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_deliveries_state CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
    CONSTRAINT fk_deliveries_tenant_id_outbox FOREIGN KEY(tenant_id, message_id) REFERENCES outbox (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_deliveries_dead ON deliveries (destination_tenant_id, destination_id, id) WHERE state = 'dead';
CREATE INDEX ix_deliveries_due ON deliveries (destination_tenant_id, destination_id, next_try_at, message_id) WHERE state = 'pending';
CREATE INDEX ix_deliveries_log ON deliveries (destination_tenant_id, destination_id, id);
CREATE UNIQUE INDEX ix_deliveries_message ON deliveries (tenant_id, message_id, destination_id);
CREATE INDEX ix_deliveries_turn ON deliveries (destination_tenant_id, destination_id, tenant_id, line_id, message_id) WHERE state = 'pending';

CREATE TABLE external_credentials (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    epoch INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    label TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    closed_because TEXT,
    CONSTRAINT pk_external_credentials PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_external_credentials_tenant_id_accounts FOREIGN KEY(tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
CREATE INDEX ix_external_credentials_open ON external_credentials (tenant_id, account_id) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX uq_external_credentials_open_name ON external_credentials (tenant_id, kind, name) WHERE closed_at IS NULL AND name <> '';

CREATE TABLE passkeys (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    epoch INTEGER NOT NULL,
    credential_id BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    sign_count BIGINT NOT NULL,
    transports TEXT[] NOT NULL,
    aaguid UUID NOT NULL,
    label TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    closed_because TEXT,
    CONSTRAINT pk_passkeys PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_passkeys_tenant_id_accounts FOREIGN KEY(tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT uq_passkeys_credential_id UNIQUE (tenant_id, credential_id)
);
CREATE INDEX ix_passkeys_closed ON passkeys (tenant_id, account_id) WHERE closed_at IS NOT NULL;
CREATE INDEX ix_passkeys_open ON passkeys (tenant_id, account_id) WHERE closed_at IS NULL;

CREATE TABLE receipts (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    epoch INTEGER NOT NULL,
    reason TEXT NOT NULL,
    request_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    arrived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed JSONB NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    purged JSONB NOT NULL,
    destinations JSONB,
    completed_at TIMESTAMP WITH TIME ZONE,
    statement TEXT,
    CONSTRAINT pk_receipts PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_receipts_tenant_id_accounts FOREIGN KEY(tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
CREATE INDEX ix_receipts_closed ON receipts (tenant_id, closed_at);
CREATE INDEX ix_receipts_person ON receipts (tenant_id, account_id, closed_at);
CREATE INDEX ix_receipts_waiting ON receipts (tenant_id, id) WHERE completed_at IS NULL;

CREATE TABLE sessions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    epoch INTEGER NOT NULL,
    digest BYTEA NOT NULL,
    purpose TEXT DEFAULT 'product' NOT NULL,
    label TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    closed_because TEXT,
    CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_sessions_tenant_id_accounts FOREIGN KEY(tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT ck_sessions_purpose CHECK (purpose IN ('product', 'console', 'console_code'))
);
CREATE INDEX ix_sessions_closed ON sessions (tenant_id, account_id) WHERE closed_at IS NOT NULL;
CREATE INDEX ix_sessions_open ON sessions (tenant_id, account_id) WHERE closed_at IS NULL;

CREATE TABLE tenants (
    id UUID DEFAULT uuidv7() NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    token_issuing TEXT DEFAULT 'self_service' NOT NULL,
    profile TEXT DEFAULT 'default' NOT NULL,
    rate_per_second INTEGER,
    rate_burst INTEGER,
    mass_change_threshold INTEGER DEFAULT 100 NOT NULL,
    role_rule JSONB NOT NULL,
    role_rule_version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (id),
    CONSTRAINT ck_tenants_status CHECK (status IN ('active', 'suspended')),
    CONSTRAINT ck_tenants_token_issuing CHECK (token_issuing IN ('self_service', 'ops')),
    CONSTRAINT ck_tenants_rate CHECK (rate_per_second = 0 OR rate_per_second >= 25),
    CONSTRAINT ck_tenants_mass_change_threshold CHECK (mass_change_threshold >= 1),
    CONSTRAINT uq_tenants_slug UNIQUE (slug),
    CONSTRAINT fk_tenants_plan_plans FOREIGN KEY(plan) REFERENCES plans (key)
);

CREATE TABLE users (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    account_id UUID NOT NULL,
    user_name_key TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C",
    display_name_key TEXT COLLATE "C",
    active BOOLEAN NOT NULL,
    document JSONB NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_modified TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_users_tenant_id_accounts FOREIGN KEY(tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
CREATE INDEX ix_users_active ON users (tenant_id, active, id);
CREATE INDEX ix_users_display_name ON users (tenant_id, display_name_key, id);
CREATE INDEX ix_users_external_id ON users (tenant_id, external_id);
CREATE INDEX ix_users_last_modified ON users (tenant_id, last_modified, id);
CREATE UNIQUE INDEX uq_users_account ON users (tenant_id, account_id);
CREATE UNIQUE INDEX uq_users_user_name ON users (tenant_id, user_name_key);

CREATE TABLE conflict_cases (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_name_key TEXT COLLATE "C" NOT NULL,
    user_name TEXT NOT NULL,
    user_id UUID,
    roles TEXT[] NOT NULL,
    names JSONB NOT NULL,
    detail TEXT NOT NULL,
    stored BOOLEAN NOT NULL,
    first_seen TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    times INTEGER DEFAULT 1 NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    closed_because TEXT,
    CONSTRAINT pk_conflict_cases PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_conflict_cases_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE UNIQUE INDEX uq_conflict_cases_open ON conflict_cases (tenant_id, user_name_key) WHERE closed_at IS NULL;

CREATE TABLE groups (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    display_name TEXT NOT NULL,
    display_name_key TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C",
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_modified TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_groups PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_groups_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE INDEX ix_groups_display_name ON groups (tenant_id, display_name_key);
CREATE INDEX ix_groups_external_id ON groups (tenant_id, external_id);
CREATE INDEX ix_groups_last_modified ON groups (tenant_id, last_modified, id);

CREATE TABLE mass_changes (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL,
    noticed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    count INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    released_at TIMESTAMP WITH TIME ZONE,
    released_by TEXT,
    CONSTRAINT pk_mass_changes PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_mass_changes_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE UNIQUE INDEX uq_mass_changes_open ON mass_changes (tenant_id) WHERE released_at IS NULL;

CREATE TABLE passkey_challenges (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    purpose TEXT NOT NULL,
    account_id UUID,
    epoch INTEGER,
    challenge BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_passkey_challenges PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_passkey_challenges_purpose CHECK (purpose IN ('registration', 'sign_in')),
    CONSTRAINT fk_passkey_challenges_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE INDEX ix_passkey_challenges_expiry ON passkey_challenges (tenant_id, expires_at);

CREATE TABLE tokens (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    label TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    owner_id UUID,
    epoch INTEGER,
    digest BYTEA NOT NULL,
    issued_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    revoked_because TEXT,
    replaced_by UUID,
    last_used_at TIMESTAMP WITH TIME ZONE,
    last_used_from TEXT,
    CONSTRAINT pk_tokens PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_tokens_tenant_id_accounts FOREIGN KEY(tenant_id, owner_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT fk_tokens_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);
CREATE INDEX ix_tokens_live ON tokens (tenant_id, owner_id) WHERE revoked_at IS NULL;

CREATE TABLE user_emails (
    tenant_id UUID NOT NULL,
    value_key TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL,
    CONSTRAINT pk_user_emails PRIMARY KEY (tenant_id, value_key, user_id),
    CONSTRAINT fk_user_emails_tenant_id_users FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_user_emails_user ON user_emails (tenant_id, user_id);

CREATE TABLE group_children (
    tenant_id UUID NOT NULL,
    group_id UUID NOT NULL,
    child_id UUID NOT NULL,
    display TEXT,
    display_key TEXT COLLATE "C",
    CONSTRAINT pk_group_children PRIMARY KEY (tenant_id, group_id, child_id),
    CONSTRAINT group_id FOREIGN KEY(tenant_id, group_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT child_id FOREIGN KEY(tenant_id, child_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_group_children_child ON group_children (tenant_id, child_id);

CREATE TABLE group_closure (
    tenant_id UUID NOT NULL,
    descendant_id UUID NOT NULL,
    ancestor_id UUID NOT NULL,
    CONSTRAINT pk_group_closure PRIMARY KEY (tenant_id, descendant_id, ancestor_id),
    CONSTRAINT descendant_id FOREIGN KEY(tenant_id, descendant_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ancestor_id FOREIGN KEY(tenant_id, ancestor_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_group_closure_ancestor ON group_closure (tenant_id, ancestor_id, descendant_id);

CREATE TABLE group_strangers (
    tenant_id UUID NOT NULL,
    group_id UUID NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    display TEXT,
    display_key TEXT COLLATE "C",
    CONSTRAINT pk_group_strangers PRIMARY KEY (tenant_id, group_id, value),
    CONSTRAINT group_id FOREIGN KEY(tenant_id, group_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE group_users (
    tenant_id UUID NOT NULL,
    group_id UUID NOT NULL,
    user_id UUID NOT NULL,
    display TEXT,
    display_key TEXT COLLATE "C",
    CONSTRAINT pk_group_users PRIMARY KEY (tenant_id, group_id, user_id),
    CONSTRAINT group_id FOREIGN KEY(tenant_id, group_id) REFERENCES groups (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT user_id FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_group_users_user ON group_users (tenant_id, user_id, group_id);
