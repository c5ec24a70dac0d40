-- What the functions for identity providers answer with.

CREATE TYPE fn.gate_result AS (
    verdict text,           -- ok, unknown, revoked, expired, owner, suspended, plan, takes_only, paused, restricted, scope
    token_label text,
    owner_id uuid,
    plan text,
    rate integer,           -- calls a second, 0 when the limit is off
    burst integer,
    rule jsonb,
    rule_version integer,
    profile text            -- how the tenant's provider is read
);

CREATE TYPE fn.user_result AS (
    gate fn.gate_result,
    outcome text,           -- of a change: done, stale, judge, former, uniqueness, not_found, seats
    reason text,
    id uuid, account_id uuid, document text, version integer, created_at timestamptz, last_modified timestamptz,
    active boolean, role_state text, group_revision integer, groups text, total bigint
);

CREATE TYPE fn.users_result AS (
    gate fn.gate_result,
    outcome text,           -- done, stale
    outcomes text[],        -- of each person who was come to, in order: done, uniqueness; and what user_result says of them
    reasons text[], ids uuid[], versions integer[]
);

CREATE TYPE fn.group_result AS (
    gate fn.gate_result,
    outcome text,           -- of a change: done, stale, not_found, uniqueness, cycle, unknown_member, unknown_members
    reason text,
    id uuid, display_name text, external_id text, version integer, created_at timestamptz, last_modified timestamptz,
    above text[], members text, touched uuid[], total bigint,
    many bytea              -- instead of touched, where they may be so many that a worker brings it to them: packed
);

CREATE TYPE fn.touched_person AS (
    user_id uuid, account_id uuid, user_name text, active boolean, roles text, groups text, role_state text
);
