-- Who was erased, and how far the tenant's audit has been looked through for them. Only erase_person and erase_entries write
-- here. What names the person stands here no longer than that takes.
CREATE TABLE erasures (
    tenant_id UUID NOT NULL,
    account_id UUID NOT NULL,
    accounts UUID[] NOT NULL,
    ids TEXT[] NOT NULL,
    pattern TEXT NOT NULL,
    began_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT '2000-01-01 00:00:00+00' NOT NULL,
    seen_id UUID DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_erasures PRIMARY KEY (tenant_id, account_id),
    CONSTRAINT fk_erasures_tenant_id_accounts FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
CREATE INDEX ix_erasures_open ON erasures (began_at) WHERE ended_at IS NULL;
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON erasures TO rollcall_runtime USING (tenant_id = rollcall_tenant());
GRANT SELECT ON erasures TO rollcall_runtime;

-- Whether a change of an entry is an erasure: of somebody whose erasure has begun and not ended, of an entry from before that
-- is theirs or names them, and nothing but that text goes which may name somebody.
CREATE FUNCTION audit_is_erasure(p_old jsonb, p_new jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_old - '{detail,path,source,actor_label,target}'::text[] = p_new - '{detail,path,source,actor_label,target}'::text[]
       AND NOT EXISTS (SELECT FROM unnest('{detail,path,source,actor_label,target}'::text[]) c (name)
                        WHERE p_new ->> c.name <> 'erased' AND p_new -> c.name <> p_old -> c.name)
       AND EXISTS (
           SELECT FROM public.erasures e
            WHERE e.tenant_id = (p_old ->> 'tenant_id')::uuid AND e.ended_at IS NULL
              AND (p_old ->> 'at')::timestamptz <= e.began_at
              AND (coalesce((p_old ->> 'account_id')::uuid = ANY (e.accounts), false)
                   OR coalesce((p_old ->> 'owner_id')::uuid = ANY (e.accounts), false)
                   OR coalesce(p_old ->> 'target' = ANY (e.ids), false)
                   OR concat_ws(' ', p_old ->> 'detail', p_old ->> 'path', p_old ->> 'source', p_old ->> 'actor_label',
                                p_old ->> 'target') ~* e.pattern))
$$;

CREATE OR REPLACE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF public.audit_is_over(OLD.tenant_id, OLD.at) THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME LIKE 'audit_entries%' THEN
        IF public.audit_is_erasure(to_jsonb(OLD), to_jsonb(NEW)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
