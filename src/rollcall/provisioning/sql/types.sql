-- What the functions answer with.

CREATE TYPE fn.gate_result AS (
    verdict text,           -- ok, unknown, revoked, expired, owner, suspended, plan, scope
    token_label text,
    owner_id uuid,
    plan text,
    reason text,
    rate integer,           -- calls a second, 0 when the limit is off
    burst integer,
    rule jsonb,
    rule_version integer,
    profile text            -- how the tenant's provider is read
);

CREATE TYPE fn.touched_person AS (
    user_id uuid, account_id uuid, user_name text, active boolean, roles text, groups text, role_state text
);

CREATE TYPE fn.group_result AS (
    verdict text, token_label text, owner_id uuid, plan text, reason text, rate integer, burst integer, profile text,
    rule text, rule_version integer,
    id uuid, display_name text, external_id text, version integer, created_at timestamptz,
    last_modified timestamptz, above text[], members text, total bigint
);

CREATE TYPE fn.user_result AS (
    verdict text, token_label text, owner_id uuid, plan text, reason text, rate integer, burst integer, profile text,
    rule text, rule_version integer,
    id uuid, account_id uuid, document text, version integer, created_at timestamptz, last_modified timestamptz,
    active boolean, role_state text, group_revision integer, groups text, total bigint
);
