-- What accounts were before they changed. A row says until when somebody was so; what they are since the last one, their
-- account itself says. So a creation writes nothing here, and neither does a departure: when it was, deactivated_at says.

CREATE TABLE account_history (
    tenant_id UUID NOT NULL,
    account_id UUID NOT NULL,
    until_at TIMESTAMP WITH TIME ZONE NOT NULL,
    active BOOLEAN NOT NULL,
    deactivated_at TIMESTAMP WITH TIME ZONE,
    role TEXT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    CONSTRAINT pk_account_history PRIMARY KEY (tenant_id, account_id, until_at)
);
CREATE INDEX ix_account_history_age ON account_history USING brin (until_at);

-- From when on it is known, where that is not from the beginning.
CREATE TABLE account_history_marks (
    tenant_id UUID NOT NULL,
    known_since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_account_history_marks PRIMARY KEY (tenant_id),
    CONSTRAINT fk_account_history_marks_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);

ALTER TABLE account_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_history_marks ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON account_history TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY one_tenant ON account_history_marks TO rollcall_runtime USING (tenant_id = rollcall_tenant());
GRANT SELECT, INSERT ON account_history TO rollcall_runtime;
GRANT SELECT ON account_history_marks TO rollcall_runtime;

CREATE FUNCTION keep_account_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.account_history (tenant_id, account_id, until_at, active, deactivated_at, role, is_admin)
    VALUES (OLD.tenant_id, OLD.id, clock_timestamp(), OLD.active, CASE WHEN NOT OLD.active THEN OLD.deactivated_at END,
            OLD.role, OLD.is_admin)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- From here on nobody else writes accounts until the end.
CREATE TRIGGER keep_history AFTER UPDATE OF active, role, is_admin ON accounts FOR EACH ROW
    WHEN (OLD.role <> NEW.role OR OLD.is_admin <> NEW.is_admin OR (NEW.active AND NOT OLD.active))
    EXECUTE FUNCTION keep_account_history();

INSERT INTO account_history_marks (tenant_id, known_since) SELECT id, clock_timestamp() FROM tenants;
