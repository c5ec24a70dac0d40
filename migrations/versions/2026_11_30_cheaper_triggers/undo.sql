CREATE OR REPLACE FUNCTION count_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.user_counts AS kept (tenant_id, part, people, active)
    VALUES (NEW.tenant_id, pg_backend_pid() % 32, 0, CASE WHEN NEW.active THEN 1 ELSE -1 END)
    ON CONFLICT (tenant_id, part) DO UPDATE SET active = kept.active + excluded.active;
    RETURN NULL;
END $$;

CREATE FUNCTION keep_account_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.account_history (tenant_id, account_id, until_at, active, deactivated_at, role, is_admin)
    VALUES (OLD.tenant_id, OLD.id, clock_timestamp(), OLD.active, CASE WHEN NOT OLD.active THEN OLD.deactivated_at END,
            OLD.role, OLD.is_admin)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
DROP TRIGGER note_change ON accounts;
DROP FUNCTION note_account_change();
CREATE TRIGGER keep_history AFTER UPDATE OF active, role, is_admin ON accounts FOR EACH ROW
    WHEN (OLD.role <> NEW.role OR OLD.is_admin <> NEW.is_admin OR (NEW.active AND NOT OLD.active))
    EXECUTE FUNCTION keep_account_history();
CREATE TRIGGER note_before AFTER UPDATE OF active, is_admin ON accounts FOR EACH ROW
    WHEN ((OLD.active AND OLD.is_admin) <> (NEW.active AND NEW.is_admin)) EXECUTE FUNCTION note_before();

ALTER TABLE audit_entries ADD CONSTRAINT ck_audit_entries_outcome CHECK (outcome IN ('done', 'refused'));
