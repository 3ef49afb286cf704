-- Invoices from the ERP, one by one or as pieces of an export. Must never change an invoice that
-- something was paid on, nor take a part of a piece.
-- Locks: imports one at a time (advisory), then the invoices by number.
SET LOCAL ROLE kometpay_owner;

-- Checks all lines, then takes all or none. p_lines: [{line, invoice, customer, customer_name,
-- location, invoice_date, due_date, amount_minor, currency}]. A customer not known yet is created
-- when its name is given. faults: [{line, field, code, sentence}], the first 100.
CREATE FUNCTION books.invoice_import(p_lines jsonb, p_check_only boolean)
RETURNS TABLE (read bigint, created bigint, changed bigint, same bigint, faults jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_judged jsonb;
    v_faults jsonb;
    v_read bigint;
    v_created bigint;
    v_changed bigint;
    v_same bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('books.invoice_import', 2));
    PERFORM 1 FROM books.invoice i
      WHERE i.invoice IN (SELECT x ->> 'invoice' FROM jsonb_array_elements(p_lines) AS x)
      ORDER BY i.invoice FOR NO KEY UPDATE;

    WITH line AS (
        SELECT x.*, row_number() OVER (PARTITION BY x.invoice ORDER BY x.line) AS copy
          FROM jsonb_to_recordset(p_lines)
            AS x (line integer, invoice text, customer text, customer_name text, location text,
                  invoice_date date, due_date date, amount_minor bigint, currency text)
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
                   WHEN NOT s.customer_known AND coalesce(s.customer_name, '') = '' THEN
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
    ), faulty AS (
        SELECT j.line, j.fault FROM judged j WHERE j.fault IS NOT NULL ORDER BY j.line LIMIT 100
    )
    SELECT count(*), count(*) FILTER (WHERE NOT j.known), count(*) FILTER (WHERE j.known AND j.equal),
           (SELECT coalesce(jsonb_agg(jsonb_build_object('line', f.line, 'field', f.fault[1],
                                                         'code', f.fault[2],
                                                         'sentence', f.fault[3])
                                      ORDER BY f.line), '[]')
              FROM faulty f)
      INTO v_read, v_created, v_same, v_faults
      FROM judged j;
    v_changed := v_read - v_created - v_same;

    IF v_faults <> '[]' THEN
        RETURN QUERY SELECT v_read, 0::bigint, 0::bigint, 0::bigint, v_faults;
        RETURN;
    END IF;
    IF NOT p_check_only THEN
        INSERT INTO books.customer (customer, name)
        SELECT DISTINCT ON (x.customer) x.customer, x.customer_name
          FROM jsonb_to_recordset(p_lines) AS x (line integer, customer text, customer_name text)
         WHERE coalesce(x.customer_name, '') <> ''
         ORDER BY x.customer, x.line
        ON CONFLICT (customer) DO NOTHING;
        INSERT INTO books.invoice AS i (invoice, customer, location, invoice_date, due_date,
                                        amount_minor, open_minor, currency)
        SELECT x.invoice, x.customer, x.location, x.invoice_date, x.due_date, x.amount_minor,
               x.amount_minor, x.currency
          FROM jsonb_to_recordset(p_lines)
            AS x (invoice text, customer text, location text, invoice_date date, due_date date,
                  amount_minor bigint, currency text)
         ORDER BY x.invoice
        ON CONFLICT (invoice) DO UPDATE
           SET customer = excluded.customer, location = excluded.location,
               invoice_date = excluded.invoice_date, due_date = excluded.due_date,
               amount_minor = excluded.amount_minor, open_minor = excluded.open_minor,
               currency = excluded.currency
         WHERE (i.customer, i.location, i.invoice_date, i.due_date, i.amount_minor, i.currency)
               IS DISTINCT FROM (excluded.customer, excluded.location, excluded.invoice_date,
                                 excluded.due_date, excluded.amount_minor, excluded.currency);
    END IF;
    RETURN QUERY SELECT v_read, v_created, v_changed, v_same, v_faults;
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
    books.invoice_import(jsonb, boolean),
    books.invoice_put(text, text, text, date, date, bigint, text),
    books.invoice_list(text, text, text, integer)
    TO kometpay_settled;
