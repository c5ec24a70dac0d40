-- How many people of a tenant are active, beside how many there are; what a plan does beyond its seats; and overrides.

ALTER TABLE plans
    ADD COLUMN seat_policy TEXT DEFAULT 'refuse' NOT NULL,
    ADD CONSTRAINT ck_plans_seat_policy CHECK (seat_policy IN ('refuse', 'overage'));

-- {key: {"value", "reason", "by", "at", "ends_at"}}: in the tenant's row, for the gate reads it with every call.
ALTER TABLE tenants
    ADD COLUMN overrides JSONB,
    ADD CONSTRAINT ck_tenants_overrides CHECK (jsonb_typeof(overrides) = 'object');

-- Since when a tenant has no seat left, and since when it has more people than seats.
CREATE TABLE seat_marks (
    tenant_id UUID NOT NULL,
    full_since TIMESTAMP WITH TIME ZONE,
    over_since TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_seat_marks PRIMARY KEY (tenant_id)
);
ALTER TABLE seat_marks ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON seat_marks TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY fleet ON seat_marks TO rollcall_fleet USING (true);
GRANT SELECT, INSERT, UPDATE ON seat_marks TO rollcall_runtime, rollcall_fleet;

-- How many there are is no secret to the fleet; who they are is.
CREATE POLICY fleet ON user_counts TO rollcall_fleet USING (true);
GRANT SELECT ON user_counts TO rollcall_fleet;

ALTER TABLE user_counts ADD COLUMN active BIGINT DEFAULT 0 NOT NULL;

-- As it was, and it counts the active ones in the same row.
CREATE OR REPLACE FUNCTION count_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.user_counts AS kept (tenant_id, part, people, active)
    SELECT tenant_id, pg_backend_pid() % 32,
           CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END,
           CASE TG_OP WHEN 'INSERT' THEN count(*) FILTER (WHERE active) ELSE -count(*) FILTER (WHERE active) END
      FROM changed GROUP BY tenant_id
    ON CONFLICT (tenant_id, part) DO UPDATE SET people = kept.people + excluded.people, active = kept.active + excluded.active;
    RETURN NULL;
END $$;

CREATE FUNCTION count_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.user_counts AS kept (tenant_id, part, people, active)
    VALUES (NEW.tenant_id, pg_backend_pid() % 32, 0, CASE WHEN NEW.active THEN 1 ELSE -1 END)
    ON CONFLICT (tenant_id, part) DO UPDATE SET active = kept.active + excluded.active;
    RETURN NULL;
END $$;
-- From here on nobody else writes people until the end, so what is counted is all there is.
CREATE TRIGGER count_changed AFTER UPDATE OF active ON users
    FOR EACH ROW WHEN (OLD.active <> NEW.active) EXECUTE FUNCTION count_active();

INSERT INTO user_counts AS kept (tenant_id, part, people, active)
SELECT tenant_id, 0, 0, count(*) FROM users WHERE active GROUP BY tenant_id
ON CONFLICT (tenant_id, part) DO UPDATE SET active = excluded.active;

-- Who has more people than seats as seats begin to count goes on; the override ends once they fit.
UPDATE tenants n
   SET overrides = jsonb_build_object('seat_policy', jsonb_build_object(
       'value', 'overage', 'reason', 'it had more people than seats when seats began to count', 'by', 'rollcall',
       'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'until_within', true))
  FROM plans p
 WHERE p.key = n.plan AND p.seats < (SELECT sum(active) FROM user_counts c WHERE c.tenant_id = n.id);
