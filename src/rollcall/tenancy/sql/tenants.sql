-- Tenants as they are taken on.

-- Takes on customers, each a row of `tenants` with `told`, the event that says so, as fn.announce takes it.
-- p_call is as for audit_write, of whoever takes them on. Locks: none but those of the new rows; by the foreign key the plans.
CREATE FUNCTION fn.create_tenants(p_new jsonb, p_call jsonb) RETURNS TABLE (new_id uuid, new_slug text)
LANGUAGE plpgsql AS $$
DECLARE
    v_told jsonb := (SELECT jsonb_object_agg(n ->> 'slug', n -> 'told') FROM jsonb_array_elements(p_new) n);
    v_event jsonb;
BEGIN
    FOR new_id, new_slug IN
        INSERT INTO public.tenants (slug, external_id, customer, metadata, name, plan, token_issuing, owner_leaves,
                                    last_admin, profile, profile_auto, rate_per_second, rate_burst, mass_change_threshold, role_rule,
                                    name_comparison, break_glass)
        SELECT n.slug, n.external_id, n.customer, n.metadata, n.name, n.plan, n.token_issuing, n.owner_leaves,
               n.last_admin, n.profile, n.profile_auto, n.rate_per_second, n.rate_burst, n.mass_change_threshold, n.role_rule, n.name_comparison,
               n.break_glass
          FROM jsonb_populate_recordset(NULL::public.tenants, p_new) n
        RETURNING id, slug
    LOOP
        v_event := v_told -> new_slug;
        PERFORM fn.audit_write(new_id, p_call || jsonb_build_object('payload', v_event - 'topic'), 'done', NULL, NULL,
                               ARRAY[v_event ->> 'topic'], NULL, new_id::text);
        PERFORM fn.announce(new_id, NULL, p_call ->> 'request_id', jsonb_build_array(v_event));
        RETURN NEXT;
    END LOOP;
END $$;
