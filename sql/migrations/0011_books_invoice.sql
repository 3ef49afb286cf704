-- Invoices from the ERP, one by one or as an export in pieces. Must never change an invoice that
-- something was paid on, nor take a part of an export.
-- Locks: ends of imports one at a time (advisory), then the import, then the invoices by number.
SET LOCAL ROLE kometpay_owner;

-- Keeps lines of an export until its end; changes no invoice. p_lines: [{line, invoice, customer,
-- customer_name, location, invoice_date, due_date, amount_minor, currency}]. A line that came before
-- is kept once. Returns how many lines the import has. Forgets imports that were left a day ago.
CREATE FUNCTION books.import_put(p_import text, p_lines jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM books.import m
     WHERE m.import IN (SELECT o.import FROM books.import o
                         WHERE o.begun_at < clock_timestamp() - interval '1 day'
                           FOR UPDATE SKIP LOCKED);
    INSERT INTO books.import (import, begun_at) VALUES (p_import, clock_timestamp())
    ON CONFLICT (import) DO NOTHING;
    INSERT INTO books.import_line (import, line, invoice, customer, customer_name, location,
                                   invoice_date, due_date, amount_minor, currency)
    SELECT p_import, x.line, x.invoice, x.customer, coalesce(x.customer_name, ''), x.location,
           x.invoice_date, x.due_date, x.amount_minor, x.currency
      FROM jsonb_to_recordset(p_lines)
        AS x (line integer, invoice text, customer text, customer_name text, location text,
              invoice_date date, due_date date, amount_minor bigint, currency text)
    ON CONFLICT (import, line) DO NOTHING;
    RETURN (SELECT count(*) FROM books.import_line n WHERE n.import = p_import);
END
$$;

-- What is wrong with the lines of an import, all of them together: [line, field, code, sentence].
-- A customer is known by the books or by a name on any line. Invoices are locked by the caller.
CREATE FUNCTION books.import_judged(p_import text)
RETURNS TABLE (line integer, known boolean, equal boolean, fault text[])
LANGUAGE sql STABLE
AS $$
    WITH line AS (
        SELECT x.*, row_number() OVER (PARTITION BY x.invoice ORDER BY x.line) AS copy,
               bool_or(x.customer_name <> '') OVER (PARTITION BY x.customer) AS named
          FROM books.import_line x WHERE x.import = p_import
    ), seen AS (
        SELECT n.*, i.invoice IS NOT NULL AS known,
               (i.customer, i.location, i.invoice_date, i.due_date, i.amount_minor, i.currency)
                   IS NOT DISTINCT FROM (n.customer, n.location, n.invoice_date, n.due_date,
                                         n.amount_minor, n.currency) AS equal,
               i.open_minor < i.amount_minor AS paid_on, l.currency AS location_currency,
               c.customer IS NOT NULL AS customer_known,
               h.in_progress OR h.held_minor > 0 AS paying
          FROM line n
          LEFT JOIN books.invoice i ON i.invoice = n.invoice
          LEFT JOIN books.location l ON l.code = n.location
          LEFT JOIN books.customer c ON c.customer = n.customer
         CROSS JOIN LATERAL payment.invoice_held(n.invoice, '') AS h
    ), judged AS (
        SELECT s.*,
               CASE
                   WHEN s.copy > 1 THEN ARRAY['invoice', 'invoice_repeated',
                       format('Invoice %s is named twice.', s.invoice)]
                   WHEN s.location_currency IS NULL THEN ARRAY['location', 'location_unknown',
                       format('Location %s is not known.', s.location)]
                   WHEN s.location_currency <> s.currency THEN ARRAY['currency',
                       'currency_mismatch', format('Location %s takes %s.', s.location,
                                                   s.location_currency)]
                   WHEN NOT s.customer_known AND NOT s.named THEN
                       ARRAY['customer', 'customer_unknown',
                             format('Customer %s is not known.', s.customer)]
                   WHEN s.due_date < s.invoice_date THEN ARRAY['due_date', 'due_before_invoice',
                       'The due date is before the date of the invoice.']
                   WHEN s.known AND NOT s.equal AND s.paid_on THEN ARRAY['invoice',
                       'invoice_has_payments',
                       format('Something was paid on invoice %s; it can''t be changed.', s.invoice)]
                   WHEN s.known AND NOT s.equal AND s.paying THEN ARRAY['invoice',
                       'invoice_payment_in_progress',
                       format('A payment of invoice %s is not finished yet.', s.invoice)]
               END AS fault
          FROM seen s
    )
    SELECT j.line, j.known, j.equal, j.fault FROM judged j
$$;

-- Checks all lines of an import together, then takes all or none, and forgets the lines. Asked again:
-- the same result. p_lines: how many it must have. faults: [{line, field, code, sentence}], the first
-- 100.
CREATE FUNCTION books.import_end(p_import text, p_lines bigint, p_check_only boolean)
RETURNS TABLE (read bigint, created bigint, changed bigint, same bigint, faults jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_result jsonb;
    v_found bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('books.invoice_import', 2));
    SELECT m.result INTO v_result FROM books.import m WHERE m.import = p_import FOR UPDATE;
    IF v_result IS NULL THEN
        SELECT count(*) INTO v_found FROM books.import_line n WHERE n.import = p_import;
        IF v_found <> p_lines THEN
            PERFORM audit.refuse('import_incomplete', '',
                'A part of the export is missing; nothing was imported. Import it again.');
        END IF;
        PERFORM 1 FROM books.invoice i
          WHERE i.invoice IN (SELECT n.invoice FROM books.import_line n WHERE n.import = p_import)
          ORDER BY i.invoice FOR NO KEY UPDATE;
        WITH judged AS MATERIALIZED (
            SELECT * FROM books.import_judged(p_import)
        ), faulty AS (
            SELECT j.line, j.fault FROM judged j WHERE j.fault IS NOT NULL
             ORDER BY j.line LIMIT 100
        )
        SELECT jsonb_build_object(
                   'read', count(*), 'created', count(*) FILTER (WHERE NOT j.known),
                   'changed', count(*) FILTER (WHERE j.known AND NOT j.equal),
                   'same', count(*) FILTER (WHERE j.known AND j.equal),
                   'faults', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                         'line', f.line, 'field', f.fault[1], 'code', f.fault[2],
                                         'sentence', f.fault[3]) ORDER BY f.line), '[]')
                                FROM faulty f))
          INTO v_result FROM judged j;
        IF v_result -> 'faults' <> '[]' THEN
            v_result := v_result || '{"created": 0, "changed": 0, "same": 0}';
        ELSIF NOT p_check_only THEN
            PERFORM books.import_take(p_import);
        END IF;
        UPDATE books.import m SET result = v_result WHERE m.import = p_import;
        DELETE FROM books.import_line n WHERE n.import = p_import;
    END IF;
    RETURN QUERY SELECT (v_result ->> 'read')::bigint, (v_result ->> 'created')::bigint,
                        (v_result ->> 'changed')::bigint, (v_result ->> 'same')::bigint,
                        v_result -> 'faults';
END
$$;

-- Takes the lines of an import that was found good: new customers, then the invoices.
CREATE FUNCTION books.import_take(p_import text) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO books.customer (customer, name)
    SELECT DISTINCT ON (n.customer) n.customer, n.customer_name
      FROM books.import_line n WHERE n.import = p_import AND n.customer_name <> ''
     ORDER BY n.customer, n.line
    ON CONFLICT (customer) DO NOTHING;
    INSERT INTO books.invoice AS i (invoice, customer, location, invoice_date, due_date,
                                    amount_minor, open_minor, currency)
    SELECT n.invoice, n.customer, n.location, n.invoice_date, n.due_date, n.amount_minor,
           n.amount_minor, n.currency
      FROM books.import_line n WHERE n.import = p_import
     ORDER BY n.invoice
    ON CONFLICT (invoice) DO UPDATE
       SET customer = excluded.customer, location = excluded.location,
           invoice_date = excluded.invoice_date, due_date = excluded.due_date,
           amount_minor = excluded.amount_minor, open_minor = excluded.open_minor,
           currency = excluded.currency
     WHERE (i.customer, i.location, i.invoice_date, i.due_date, i.amount_minor, i.currency)
           IS DISTINCT FROM (excluded.customer, excluded.location, excluded.invoice_date,
                             excluded.due_date, excluded.amount_minor, excluded.currency);
$$;

-- A whole import in one call.
CREATE FUNCTION books.invoice_import(p_lines jsonb, p_check_only boolean)
RETURNS TABLE (read bigint, created bigint, changed bigint, same bigint, faults jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_import text := gen_random_uuid()::text;
BEGIN
    RETURN QUERY SELECT * FROM books.import_end(v_import, books.import_put(v_import, p_lines),
                                                p_check_only);
    DELETE FROM books.import m WHERE m.import = v_import;
END
$$;

-- One invoice; refused with the fault's own code and field. 'created', 'changed' or 'same'.
CREATE FUNCTION books.invoice_put(p_invoice text, p_customer text, p_location text,
                                  p_invoice_date date, p_due_date date, p_amount_minor bigint,
                                  p_currency text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_done record;
    v_fault jsonb;
BEGIN
    SELECT * INTO v_done FROM books.invoice_import(
        jsonb_build_array(jsonb_build_object(
            'line', 1, 'invoice', p_invoice, 'customer', p_customer, 'location', p_location,
            'invoice_date', p_invoice_date, 'due_date', p_due_date,
            'amount_minor', p_amount_minor, 'currency', p_currency)), false);
    v_fault := v_done.faults -> 0;
    IF v_fault IS NOT NULL THEN
        PERFORM audit.refuse(v_fault ->> 'code', v_fault ->> 'field', v_fault ->> 'sentence');
    END IF;
    RETURN CASE WHEN v_done.created = 1 THEN 'created' WHEN v_done.changed = 1 THEN 'changed'
                ELSE 'same' END;
END
$$;

-- By number, after p_after; one row more than p_limit when there are more. '' filters nothing.
CREATE FUNCTION books.invoice_list(p_customer text, p_state text, p_after text, p_limit integer)
RETURNS TABLE (invoice text, customer text, location text, invoice_date date, due_date date,
               amount_minor bigint, open_minor bigint, currency text, state text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF coalesce(p_state, '') NOT IN ('', 'OPEN', 'PARTLY_PAID', 'PAID') THEN
        PERFORM audit.refuse('state_unknown', 'state', 'The state is OPEN, PARTLY_PAID or PAID.');
    END IF;
    RETURN QUERY
        SELECT i.invoice, i.customer, i.location, i.invoice_date, i.due_date, i.amount_minor,
               i.open_minor, i.currency, i.state
          FROM books.invoice i
         WHERE (coalesce(p_customer, '') = '' OR i.customer = p_customer)
           AND (coalesce(p_state, '') = '' OR i.state = p_state)
           AND i.invoice > coalesce(p_after, '')
         ORDER BY i.invoice LIMIT p_limit + 1;
END
$$;

GRANT EXECUTE ON FUNCTION
    books.import_put(text, jsonb),
    books.import_end(text, bigint, boolean),
    books.invoice_import(jsonb, boolean),
    books.invoice_put(text, text, text, date, date, bigint, text),
    books.invoice_list(text, text, text, integer)
    TO kometpay_settled;
