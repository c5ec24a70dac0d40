-- How long each tenant's audit is kept, and the one way past the refusal to delete: what is older than that.

-- The installation's own audit is the tenant's that is all zeroes. Only judge_retention writes here.
CREATE TABLE audit_retention (
    tenant_id UUID NOT NULL,
    days INTEGER NOT NULL,
    counts_from TIMESTAMP WITH TIME ZONE NOT NULL,
    shorter_days INTEGER,
    shorter_from TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_audit_retention PRIMARY KEY (tenant_id),
    CONSTRAINT ck_audit_retention_shorter CHECK (shorter_days < days AND shorter_from IS NOT NULL OR shorter_days IS NULL)
);
ALTER TABLE audit_retention ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON audit_retention TO rollcall_runtime USING (tenant_id = rollcall_tenant());
CREATE POLICY fleet ON audit_retention TO rollcall_fleet USING (true);
GRANT SELECT ON audit_retention TO rollcall_runtime, rollcall_fleet;

-- Whether an entry is older than its tenant's audit is kept. What nothing is said of is kept.
CREATE FUNCTION audit_is_over(p_tenant uuid, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM public.audit_retention
                    WHERE tenant_id = p_tenant AND counts_from <= now() AND p_at < now() - make_interval(days => days))
$$;

CREATE OR REPLACE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF public.audit_is_over(OLD.tenant_id, OLD.at) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
