-- Set-up of locations and customers. Must never change a location without a row in the audit log.
-- Locks: the location or customer, then the audit head.
SET LOCAL ROLE kometpay_owner;

CREATE FUNCTION books.location_put(p_actor text, p_code text, p_name text, p_time_zone text,
                                   p_processor text, p_account text, p_currency text,
                                   p_enabled boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before books.location;
    v_after books.location := ROW(p_code, p_name, p_time_zone, p_processor, p_account, p_currency,
                                  p_enabled)::books.location;
BEGIN
    -- keys and certificates are of LOCATION/POS
    IF p_code !~ '^[A-Za-z0-9._-]{1,20}$' THEN
        PERFORM audit.refuse('location_code_invalid', 'code',
                             'A location''s code is made of letters, digits, dots and dashes.');
    END IF;
    PERFORM 1 FROM pg_timezone_names z WHERE z.name = p_time_zone;
    IF NOT FOUND THEN
        PERFORM audit.refuse('time_zone_unknown', 'time_zone',
                             format('%s is not the name of a time zone.', p_time_zone));
    END IF;
    IF p_account !~ '^[A-Za-z0-9._-]+$' THEN
        PERFORM audit.refuse('account_invalid', 'account',
                             'The name of an account has letters, digits, points, _ and - only.');
    END IF;
    SELECT * INTO v_before FROM books.location l WHERE l.code = p_code FOR NO KEY UPDATE;
    IF FOUND AND v_before = v_after THEN
        RETURN 'same';
    END IF;
    IF v_before.currency <> p_currency
       AND (EXISTS (SELECT 1 FROM payment.payment p WHERE p.location = p_code)
            OR EXISTS (SELECT 1 FROM books.invoice i WHERE i.location = p_code)) THEN
        PERFORM audit.refuse('currency_fixed', 'currency',
                             format('Location %s has payments or invoices in %s.', p_code,
                                    v_before.currency));
    END IF;
    INSERT INTO books.location SELECT v_after.*
    ON CONFLICT (code) DO UPDATE
       SET name = excluded.name, time_zone = excluded.time_zone, processor = excluded.processor,
           account = excluded.account, currency = excluded.currency, enabled = excluded.enabled;
    PERFORM audit.append(p_actor, 'location.put', p_code, to_jsonb(v_after));
    RETURN CASE WHEN v_before.code IS NULL THEN 'created' ELSE 'changed' END;
END
$$;

CREATE FUNCTION books.location_list()
RETURNS TABLE (code text, name text, time_zone text, processor text, account text, currency text,
               enabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.code, l.name, l.time_zone, l.processor, l.account, l.currency, l.enabled
      FROM books.location l ORDER BY l.code LIMIT 1000
$$;

CREATE FUNCTION books.customer_put(p_customer text, p_name text, p_email text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before books.customer;
BEGIN
    INSERT INTO books.customer (customer, name, email)
    VALUES (p_customer, p_name, coalesce(p_email, ''))
    ON CONFLICT (customer) DO NOTHING;
    IF FOUND THEN
        RETURN 'created';
    END IF;
    SELECT * INTO v_before FROM books.customer c WHERE c.customer = p_customer FOR NO KEY UPDATE;
    IF v_before.name = p_name AND v_before.email = coalesce(p_email, '') THEN
        RETURN 'same';
    END IF;
    UPDATE books.customer c SET name = p_name, email = coalesce(p_email, '')
     WHERE c.customer = p_customer;
    RETURN 'changed';
END
$$;

-- A row for each customer and currency of its open invoices (one with '' if there is none), by number
-- and currency, after those of p_after; one row more than p_limit when there are more. '' as
-- p_after_currency: after all rows of the customer p_after.
CREATE FUNCTION books.customer_list(p_after text, p_after_currency text, p_limit integer)
RETURNS TABLE (customer text, name text, email text, open_minor bigint, currency text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.customer, c.name, c.email, coalesce(o.open_minor, 0), coalesce(o.currency, '')
      FROM books.customer c
      LEFT JOIN LATERAL (
           SELECT i.currency, sum(i.open_minor)::bigint AS open_minor
             FROM books.invoice i WHERE i.customer = c.customer AND i.open_minor > 0
            GROUP BY i.currency) AS o ON true
     WHERE c.customer >= coalesce(p_after, '')
       AND (c.customer > coalesce(p_after, '')
            OR (coalesce(p_after_currency, '') <> '' AND o.currency > p_after_currency))
     ORDER BY c.customer, o.currency LIMIT p_limit + 1
$$;

GRANT EXECUTE ON FUNCTION
    books.location_put(text, text, text, text, text, text, text, boolean),
    books.location_list(),
    books.customer_put(text, text, text),
    books.customer_list(text, text, integer)
    TO kometpay_settled;
