-- Names of roles in documents, as rollcall.scim.role_names reads them; a test compares the two.

-- A text without the white space around it, as Python's str.strip has it.
CREATE FUNCTION fn.stripped(p_text text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN btrim(p_text, E' \t\n\u000B\f\r\u001C\u001D\u001E\u001F\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005'
                     '\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000');

-- The names that an entry of roles says, or what stands in one: a text's own name, or what the JSON inside it names.
-- Of an object the first part counts that says anything; p_depth is how deep what is inside may go.
CREATE FUNCTION fn.names_of(p_said jsonb, p_depth integer DEFAULT 8) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_part jsonb;
    v_text text;
BEGIN
    IF p_depth = 0 THEN
        RETURN;
    ELSIF jsonb_typeof(p_said) = 'string' THEN
        v_text := fn.stripped(p_said #>> '{}');
        IF left(v_text, 1) IN ('{', '[', '"') AND pg_input_is_valid(v_text, 'jsonb') THEN
            RETURN QUERY SELECT fn.names_of(v_text::jsonb, p_depth - 1);
            IF FOUND THEN
                RETURN;
            END IF;
        END IF;
        IF v_text <> '' THEN
            RETURN NEXT v_text;
        END IF;
    ELSIF jsonb_typeof(p_said) = 'object' THEN
        FOREACH v_part IN ARRAY ARRAY[p_said -> 'value', p_said -> 'displayName', p_said -> 'display', p_said -> 'name'] LOOP
            IF v_part NOT IN ('null', 'false', '0', '""', '[]', '{}') THEN
                RETURN QUERY SELECT fn.names_of(v_part, p_depth - 1);
                RETURN;
            END IF;
        END LOOP;
    ELSIF jsonb_typeof(p_said) = 'array' THEN
        RETURN QUERY SELECT fn.names_of(each, p_depth - 1) FROM jsonb_array_elements(p_said) each;
    END IF;
END $$;
