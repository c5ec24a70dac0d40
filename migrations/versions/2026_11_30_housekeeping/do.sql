-- What is done regularly: who has it, and how it ended last. A lease instead of a lock, because a part is many transactions.

CREATE TABLE housekeeping (
    part TEXT NOT NULL,
    leased_until TIMESTAMP WITH TIME ZONE,
    leased_by UUID,
    done_at TIMESTAMP WITH TIME ZONE,
    did JSONB,
    failed_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    CONSTRAINT pk_housekeeping PRIMARY KEY (part)
);
GRANT SELECT, INSERT, UPDATE ON housekeeping TO rollcall_fleet;
GRANT SELECT ON housekeeping TO rollcall_runtime;
