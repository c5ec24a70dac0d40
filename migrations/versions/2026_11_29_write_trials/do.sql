-- Whether anything can be written. A full disk lets everything be read, and rows be changed where a page has room; so the
-- row of a trial takes more than half a page, and has the file grow.

CREATE TABLE write_trials (
    id UUID DEFAULT uuidv7() NOT NULL,
    filler BYTEA NOT NULL,
    CONSTRAINT pk_write_trials PRIMARY KEY (id)
) WITH (autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE write_trials ALTER COLUMN filler SET STORAGE PLAIN;

-- Writes a row and takes it away again; whoever calls it sees why that can't be. Vacuum gives the pages back.
CREATE FUNCTION try_writing() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_id uuid;
BEGIN
    INSERT INTO write_trials (filler) VALUES (decode(repeat('00', 4500), 'hex')) RETURNING id INTO v_id;
    DELETE FROM write_trials WHERE id = v_id;
END
$$;
REVOKE ALL ON FUNCTION try_writing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION try_writing() TO rollcall_runtime;
