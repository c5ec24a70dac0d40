-- What the functions answer with.

CREATE TYPE fn.group_change AS (
    verdict text,   -- the gate's, or: done, stale, unknown_member, unknown_members, cycle, uniqueness, not_found
    token_label text, owner_id uuid, plan text, reason text,
    id uuid, display_name text, external_id text, version integer, created_at timestamptz, last_modified timestamptz,
    changed boolean, touched uuid[]
);

CREATE TYPE fn.change_result AS (
    verdict text,            -- the gate's, or: done, stale, former, uniqueness, not_found
    token_label text, owner_id uuid, plan text, reason text,
    id uuid, account_id uuid, version integer, created_at timestamptz, last_modified timestamptz, role_state text
);
