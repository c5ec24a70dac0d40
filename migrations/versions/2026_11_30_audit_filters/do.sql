-- What the filters of the audit need, within bounds: summaries of blocks for names of which there are many, and indexes of
-- the few entries that are refusals or no SCIM call. Others are found by time.
-- Partitions come first, the present one last: who writes waits while that is read, a second and a half for a million
-- entries of this month, and for nothing else.

DO $$
DECLARE
    v_name text;
BEGIN
    FOR v_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'audit_entries'::regclass
         ORDER BY c.relname = 'audit_entries' || to_char(now() AT TIME ZONE 'UTC', '_YYYY_MM'), c.relname
    LOOP
        -- One for each: two filters full of different names are longer together than a page.
        EXECUTE format('CREATE INDEX ON %I USING brin (request_id text_bloom_ops) WITH (autosummarize = on)', v_name);
        EXECUTE format('CREATE INDEX ON %I USING brin (actor_id uuid_bloom_ops) WITH (autosummarize = on)', v_name);
        EXECUTE format('CREATE INDEX ON %I (tenant_id, at, id) WHERE outcome = ''refused''', v_name);
        EXECUTE format('CREATE INDEX ON %I (tenant_id, action, at, id) WHERE action NOT LIKE ''scim.%%''', v_name);
    END LOOP;
END $$;

-- Each takes the partitions' own as its parts.
CREATE INDEX ix_audit_entries_request ON audit_entries USING brin (request_id text_bloom_ops) WITH (autosummarize = on);
CREATE INDEX ix_audit_entries_actor ON audit_entries USING brin (actor_id uuid_bloom_ops) WITH (autosummarize = on);
CREATE INDEX ix_audit_entries_refused ON audit_entries (tenant_id, at, id) WHERE outcome = 'refused';
CREATE INDEX ix_audit_entries_action ON audit_entries (tenant_id, action, at, id) WHERE action NOT LIKE 'scim.%';
