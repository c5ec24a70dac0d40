-- Text as it is compared.

-- Text without case, in NFC, as rollcall.scim.resources.key makes it for the columns that are searched. The two agree on
-- every character that Python's tables have; a test compares them.
CREATE FUNCTION fn.folded(p_text text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN normalize(casefold(normalize(p_text, NFC) COLLATE "pg_unicode_fast"), NFC);
