-- What changes of people and groups come to.

CREATE TYPE fn.user_change AS (
    outcome text,           -- done, stale, judge, uniqueness, not_found, seats
    reason text,            -- what was closed, as JSON; or why the userName is taken
    id uuid, account_id uuid, document text, version integer, created_at timestamptz, last_modified timestamptz,
    events text[]
);

CREATE TYPE fn.group_change AS (
    id uuid, display_name text, external_id text, version integer, created_at timestamptz, last_modified timestamptz,
    changed boolean,
    touched uuid[],         -- whose group names changed, where names that count for roles are concerned
    left_out text           -- what of it would have given, where it may only take away
);

CREATE TYPE fn.step_result AS (
    changed boolean,
    people uuid[]           -- who came or went, directly or inside a group
);
