-- Whether PostgreSQL takes writes at this moment.

-- Writes a row and takes it away again; whoever calls it sees why that can't be. Vacuum gives the pages back.
CREATE FUNCTION fn.try_writing() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_id uuid;
BEGIN
    INSERT INTO public.write_trials (filler) VALUES (decode(repeat('00', 4500), 'hex')) RETURNING id INTO v_id;
    DELETE FROM public.write_trials WHERE id = v_id;
END
$$;
