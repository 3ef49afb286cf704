-- The transaction log and a payment's story: questions only. Must never write.
SET LOCAL ROLE kometpay_owner;

-- A day as text, or a refusal that names the field. NULL for ''.
CREATE FUNCTION books.day_of(p_text text, p_field text) RETURNS date
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF coalesce(p_text, '') = '' THEN
        RETURN NULL;
    END IF;
    IF p_text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN
        RETURN make_date(left(p_text, 4)::integer, substr(p_text, 6, 2)::integer,
                         right(p_text, 2)::integer);
    END IF;
    RAISE datetime_field_overflow;
EXCEPTION WHEN datetime_field_overflow THEN
    PERFORM audit.refuse('date_invalid', p_field,
                         format('%s is not a date; write YYYY-MM-DD.', p_text));
END
$$;

-- At most 200 bytes of a text that may be longer.
CREATE FUNCTION books.cut(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN octet_length(p_text) <= 200 THEN p_text
            WHEN octet_length(p_text) = length(p_text) THEN left(p_text, 197) || '...'
            ELSE left(p_text, 49) || '...' END;

-- The POS that asked for an attempt; '' for a reversal, which nobody asked for.
CREATE FUNCTION books.pos_of(p_attempt payment.attempt) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_attempt.parent IS NULL THEN split_part(p_attempt.scope, '/', 2) ELSE '' END;

-- Newest first, after the cursor; one row more than p_limit when there are more. '' (0 for the
-- amount) filters nothing. Days are days of each row's location.
CREATE FUNCTION books.transaction_log(
    p_location text, p_pos text, p_from text, p_to text, p_customer text, p_invoice text,
    p_state text, p_kind text, p_method text, p_last_four text, p_authorisation_code text,
    p_amount_minor bigint, p_after text, p_limit integer)
RETURNS TABLE (at text, payment text, attempt text, kind text, state text, location text, pos text,
               actor text, customer text, invoices text, amount_minor bigint, currency text,
               method text, brand text, last_four text, authorisation_code text, reason text, batch text,
               to_reconcile boolean, cursor text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    v_from date := books.day_of(p_from, 'from');
    v_to date := books.day_of(p_to, 'to');
    -- a wide range by index; the exact day is the location's own
    v_earliest timestamptz := coalesce(v_from - 1, date '1970-01-01')::timestamp AT TIME ZONE 'UTC';
    v_latest timestamptz := coalesce(v_to + 2, date '9999-01-01')::timestamp AT TIME ZONE 'UTC';
    v_after_at timestamptz;
    v_after_ref text := '';
BEGIN
    IF coalesce(p_after, '') <> '' THEN
        IF p_after !~ '^[0-9]{1,17}/[0-9A-Z]{26}$' THEN
            PERFORM audit.refuse('cursor_invalid', 'after', 'This is not a cursor of a page.');
        END IF;
        v_after_at := timestamptz 'epoch'
                      + split_part(p_after, '/', 1)::bigint * interval '1 microsecond';
        v_after_ref := split_part(p_after, '/', 2);
        v_latest := least(v_latest, v_after_at + interval '1 microsecond');
    END IF;
    -- A mistyped filter must not look like a day without payments.
    IF coalesce(p_state, '') <> ''
       AND NOT EXISTS (SELECT 1 FROM payment.transition t WHERE t.to_state = p_state) THEN
        PERFORM audit.refuse('state_unknown', 'state', format('There is no state %s.', p_state));
    ELSIF coalesce(p_kind, '') <> ''
       AND NOT EXISTS (SELECT 1 FROM payment.transition t WHERE t.kind = p_kind) THEN
        PERFORM audit.refuse('kind_unknown', 'kind', format('There is no kind %s.', p_kind));
    ELSIF coalesce(p_method, '') NOT IN ('', 'KEYED', 'STORED') THEN
        PERFORM audit.refuse('method_unknown', 'method',
                             format('There is no method %s.', p_method));
    END IF;
    RETURN QUERY
        SELECT to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               a.payment, a.ref, a.kind, a.state, p.location,
               books.pos_of(a), (SELECT left(e.actor, 80) FROM payment.event e
                                  WHERE e.payment = a.payment AND e.attempt = a.ref
                                    AND e.from_state = ''), p.customer,
               (SELECT books.cut(string_agg(ip.invoice, ' ' ORDER BY ip.position))
                  FROM payment.invoice_part ip WHERE ip.payment = a.payment),
               coalesce(a.approved_minor, a.amount_minor), a.currency, p.entry, p.brand, p.last_four,
               CASE WHEN a.kind = 'REFUND' AND a.state = 'APPROVED'
                    THEN concat_ws(' ', 'Refund',
                                   coalesce(nullif(a.authorisation_code, ''), r.authorisation_code))
                    ELSE a.authorisation_code END,
               a.reason, a.batch,
               EXISTS (SELECT 1 FROM books.suspense s
                        WHERE s.attempt = a.ref AND s.cleared_at IS NULL),
               (extract(epoch FROM a.created_at) * 1000000)::bigint || '/' || a.ref
          FROM payment.attempt a
          JOIN payment.payment p ON p.id = a.payment
          JOIN payment.attempt r ON r.payment = a.payment AND r.kind IN ('SALE', 'AUTH')
          JOIN books.location l ON l.code = p.location
         WHERE a.created_at >= v_earliest AND a.created_at < v_latest
           AND (v_after_at IS NULL OR (a.created_at, a.ref) < (v_after_at, v_after_ref))
           AND (v_from IS NULL OR (a.created_at AT TIME ZONE l.time_zone)::date >= v_from)
           AND (v_to IS NULL OR (a.created_at AT TIME ZONE l.time_zone)::date <= v_to)
           AND (coalesce(p_location, '') = '' OR p.location = p_location)
           AND (coalesce(p_pos, '') = '' OR books.pos_of(a) = p_pos)
           AND (coalesce(p_customer, '') = '' OR p.customer = p_customer)
           AND (coalesce(p_invoice, '') = ''
                OR EXISTS (SELECT 1 FROM payment.invoice_part ip
                            WHERE ip.payment = a.payment AND ip.invoice = p_invoice))
           AND (coalesce(p_state, '') = '' OR a.state = p_state)
           AND (coalesce(p_kind, '') = '' OR a.kind = p_kind)
           AND (coalesce(p_method, '') = '' OR p.entry = p_method)
           AND (coalesce(p_last_four, '') = '' OR p.last_four = p_last_four)
           AND (coalesce(p_authorisation_code, '') = ''
                OR coalesce(nullif(a.authorisation_code, ''), r.authorisation_code)
                   = regexp_replace(p_authorisation_code, '^Refund ', ''))
           AND (coalesce(p_amount_minor, 0) = 0
                OR coalesce(a.approved_minor, a.amount_minor) = p_amount_minor)
         ORDER BY a.created_at DESC, a.ref DESC
         LIMIT p_limit + 1;
END
$$;

-- Every step of a payment, oldest first.
CREATE FUNCTION books.payment_story(p_payment text)
RETURNS TABLE (at text, attempt text, kind text, from_state text, to_state text, actor text,
               note text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.attempt, e.kind,
               e.from_state, e.to_state, left(e.actor, 80), books.cut(e.note)
          FROM payment.event e WHERE e.payment = p_payment ORDER BY e.number LIMIT 500;
    IF NOT FOUND THEN
        PERFORM audit.refuse('payment_unknown', 'payment', 'This payment is not known.');
    END IF;
END
$$;

GRANT EXECUTE ON FUNCTION
    books.transaction_log(text, text, text, text, text, text, text, text, text, text, text, bigint,
                          text, integer),
    books.payment_story(text)
    TO kometpay_settled;
