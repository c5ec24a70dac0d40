-- What was so before a transaction changed it, in 256 texts by the last two digits of the id, so that each stays short where
-- very many are noted.

-- Notes of an account, a token or a session whether it was good, '+' or '-', before this transaction changed that; the first
-- time counts. That anything is noted says rollcall.noted. rollcall.before has the first hundred notes (37 characters each)
-- for functions of the version before, which read nothing else.
CREATE FUNCTION note_what_was(p_id uuid, p_sign text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_name text := 'rollcall.before_' || right(p_id::text, 2);
    v_noted text := coalesce(current_setting(v_name, true), '');
    v_first text := coalesce(current_setting('rollcall.before', true), '');
BEGIN
    IF strpos(v_noted, p_id::text) > 0 THEN
        RETURN;
    END IF;
    PERFORM set_config(v_name, v_noted || p_sign || p_id, true), set_config('rollcall.noted', 'yes', true);
    IF octet_length(v_first) < 3700 THEN
        PERFORM set_config('rollcall.before', v_first || p_sign || p_id, true);
    END IF;
END $$;

-- Of tokens and sessions, which are noted as they end.
CREATE OR REPLACE FUNCTION note_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note_what_was(NEW.id, '+');
    RETURN NULL;
END $$;

-- As it was; but whoever changes the roles of many keeps the history of all of them by itself, and says so by the setting
-- rollcall.keeps_history: row by row it costs three times what the change itself does.
CREATE OR REPLACE FUNCTION note_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('rollcall.keeps_history', true) IS DISTINCT FROM 'yes'
       AND (OLD.role <> NEW.role OR OLD.is_admin <> NEW.is_admin OR (NEW.active AND NOT OLD.active)) THEN
        INSERT INTO public.account_history (tenant_id, account_id, until_at, active, deactivated_at, role, is_admin)
        VALUES (OLD.tenant_id, OLD.id, clock_timestamp(), OLD.active, CASE WHEN NOT OLD.active THEN OLD.deactivated_at END,
                OLD.role, OLD.is_admin)
        ON CONFLICT DO NOTHING;
    END IF;
    IF (OLD.active AND OLD.is_admin) <> (NEW.active AND NEW.is_admin) THEN
        PERFORM public.note_what_was(NEW.id, CASE WHEN OLD.active AND OLD.is_admin THEN '+' ELSE '-' END);
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER note_change ON accounts;
CREATE TRIGGER note_change AFTER UPDATE OF active, role, is_admin ON accounts FOR EACH ROW
    WHEN (OLD.is_admin OR NEW.is_admin OR (NEW.active AND NOT OLD.active)
          OR (OLD.role <> NEW.role AND current_setting('rollcall.keeps_history', true) IS DISTINCT FROM 'yes'))
    EXECUTE FUNCTION note_account_change();

-- What is due is looked for among what has been fanned out. With everything else in the index, each look read all that a large
-- change had just told of; and whatever nobody within Rollcall listens to need never stand in it.
DROP INDEX ix_outbox_due;
CREATE INDEX ix_outbox_due ON outbox (next_try_at)
 WHERE done_at IS NULL AND dead_at IS NULL AND fanned_out_at IS NOT NULL;
