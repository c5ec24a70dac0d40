-- PostgreSQL reads a trigger's WHEN, and a table's CHECK, anew with every statement.

-- What note_before and keep_account_history did for accounts, in this order; each for what concerns it.
CREATE FUNCTION note_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE v_noted text;
BEGIN
    IF OLD.role <> NEW.role OR OLD.is_admin <> NEW.is_admin OR (NEW.active AND NOT OLD.active) THEN
        INSERT INTO public.account_history (tenant_id, account_id, until_at, active, deactivated_at, role, is_admin)
        VALUES (OLD.tenant_id, OLD.id, clock_timestamp(), OLD.active, CASE WHEN NOT OLD.active THEN OLD.deactivated_at END,
                OLD.role, OLD.is_admin)
        ON CONFLICT DO NOTHING;
    END IF;
    IF (OLD.active AND OLD.is_admin) <> (NEW.active AND NEW.is_admin) THEN
        v_noted := coalesce(current_setting('rollcall.before', true), '');
        IF strpos(v_noted, NEW.id::text) = 0 THEN
            PERFORM set_config('rollcall.before',
                               v_noted || CASE WHEN OLD.active AND OLD.is_admin THEN '+' ELSE '-' END || NEW.id, true);
        END IF;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER note_before ON accounts;
DROP TRIGGER keep_history ON accounts;
CREATE TRIGGER note_change AFTER UPDATE OF active, role, is_admin ON accounts FOR EACH ROW
    WHEN (OLD.is_admin OR NEW.is_admin OR (NEW.active AND NOT OLD.active) OR OLD.role <> NEW.role)
    EXECUTE FUNCTION note_account_change();
DROP FUNCTION keep_account_history();

-- As it was, and first as the update that it nearly always is.
CREATE OR REPLACE FUNCTION count_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.user_counts SET active = active + CASE WHEN NEW.active THEN 1 ELSE -1 END
     WHERE tenant_id = NEW.tenant_id AND part = pg_backend_pid() % 32;
    IF NOT FOUND THEN
        INSERT INTO public.user_counts AS kept (tenant_id, part, people, active)
        VALUES (NEW.tenant_id, pg_backend_pid() % 32, 0, CASE WHEN NEW.active THEN 1 ELSE -1 END)
        ON CONFLICT (tenant_id, part) DO UPDATE SET active = kept.active + excluded.active;
    END IF;
    RETURN NULL;
END $$;

-- Last, for whoever writes an entry has accounts already.
-- Each entry paid for this, which one function writes and no caller words.
ALTER TABLE audit_entries DROP CONSTRAINT ck_audit_entries_outcome;
