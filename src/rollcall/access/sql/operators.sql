-- Operators: who of them is signed in. Whoever serves a tenant reads none of the tables; they ask about a session they show.

-- Whose session this is, by the clock; no row if it is not good any more: it ended, was not used for too long, or its operator
-- was removed or has another role. An invitation opens nothing by itself.
CREATE FUNCTION fn.operator_session(p_id uuid, p_digest bytea)
RETURNS TABLE (operator_id uuid, name text, role text, purpose text, opened_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.name, o.role, s.purpose, s.created_at, s.expires_at
      FROM public.operator_sessions s
      JOIN public.operators o ON o.id = s.operator_id
     WHERE s.id = p_id AND s.purpose IN ('console', 'registration') AND fn.same_digest(s.digest, p_digest)
       AND s.closed_at IS NULL AND s.expires_at > clock_timestamp() AND s.idle_at > clock_timestamp()
       AND o.removed_at IS NULL AND o.role = s.role;
END $$;
REVOKE ALL ON FUNCTION fn.operator_session(uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.operator_session(uuid, bytea) TO rollcall_runtime, rollcall_fleet;

-- The same, and as it was used now, it is good for p_seconds more without being used; written once a minute at most.
-- Locks: the session.
CREATE FUNCTION fn.visit_as_operator(p_id uuid, p_digest bytea, p_seconds integer)
RETURNS TABLE (operator_id uuid, name text, role text, purpose text, opened_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT * FROM fn.operator_session(p_id, p_digest);
    IF FOUND THEN
        UPDATE public.operator_sessions s SET idle_at = clock_timestamp() + make_interval(secs => p_seconds)
         WHERE s.id = p_id AND s.idle_at < clock_timestamp() + make_interval(secs => p_seconds - 60);
    END IF;
END $$;
REVOKE ALL ON FUNCTION fn.visit_as_operator(uuid, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fn.visit_as_operator(uuid, bytea, integer) TO rollcall_runtime;
