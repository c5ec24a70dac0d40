-- Rows alone are counted again.
DROP TRIGGER count_changed ON users;
DROP FUNCTION count_active();

CREATE OR REPLACE FUNCTION count_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.user_counts AS kept (tenant_id, part, people)
    SELECT tenant_id, pg_backend_pid() % 32, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
      FROM changed GROUP BY tenant_id
    ON CONFLICT (tenant_id, part) DO UPDATE SET people = kept.people + excluded.people;
    RETURN NULL;
END $$;

ALTER TABLE user_counts DROP COLUMN active;
REVOKE SELECT ON user_counts FROM rollcall_fleet;
DROP POLICY fleet ON user_counts;
DROP TABLE seat_marks;
ALTER TABLE tenants DROP COLUMN overrides;
ALTER TABLE plans DROP COLUMN seat_policy;
