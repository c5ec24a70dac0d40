-- One text, and a trigger that keeps the history of everybody.

CREATE OR REPLACE FUNCTION note_before() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_noted text := coalesce(current_setting('rollcall.before', true), '');
    v_sign text := '+';
BEGIN
    IF strpos(v_noted, NEW.id::text) = 0 THEN
        IF TG_TABLE_NAME = 'accounts' THEN
            v_sign := CASE WHEN OLD.active AND OLD.is_admin THEN '+' ELSE '-' END;
        END IF;
        PERFORM set_config('rollcall.before', v_noted || v_sign || NEW.id, true);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION note_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
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

DROP TRIGGER note_change ON accounts;
CREATE TRIGGER note_change AFTER UPDATE OF active, role, is_admin ON accounts FOR EACH ROW
    WHEN (OLD.is_admin OR NEW.is_admin OR (NEW.active AND NOT OLD.active) OR OLD.role <> NEW.role)
    EXECUTE FUNCTION note_account_change();
DROP FUNCTION note_what_was(uuid, text);

DROP INDEX ix_outbox_due;
CREATE INDEX ix_outbox_due ON outbox (next_try_at) WHERE done_at IS NULL AND dead_at IS NULL;
