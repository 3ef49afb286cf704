-- The day's close: our history against the processor's own list, item by item. Must never call a day
-- balanced that isn't, and changes no row but its own result.
-- A day's item is what our side stopped waiting for on that day in the location's zone (closed_at).
-- What was voided before the day ended cancels on both sides; a void of an earlier day's item counts
-- against the day of the void.
SET LOCAL ROLE kometpay_owner;

CREATE FUNCTION books.utc_minute(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE
RETURN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI');

-- The merchant accounts that the day's payments were sent to, and the location's of today: the
-- account may have been changed since.
CREATE FUNCTION books.close_accounts(p_location text, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (processor text, account text)
LANGUAGE sql STABLE
AS $$
    SELECT l.processor, l.account FROM books.location l WHERE l.code = p_location
    UNION
    SELECT a.processor, a.account
      FROM payment.attempt a
      JOIN payment.payment p ON p.id = a.payment
     WHERE p.location = p_location
       AND ((a.closed_at >= p_from AND a.closed_at < p_to)
            OR (a.closed_at IS NULL AND a.created_at >= p_from AND a.created_at < p_to))
$$;

-- Begins a run: its id, the ranges to ask the processor for (UTC, whole minutes), a row for each
-- account to ask. From now on no earlier run of that day can put or match anything.
CREATE FUNCTION books.close_begin(p_location text, p_day date)
RETURNS TABLE (run text, before_from text, day_from text, day_to text, after_to text,
               processor text, account text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_run uuid := gen_random_uuid();
    v_now timestamptz := clock_timestamp();
    v_zone text;
    v_from timestamptz;
    v_to timestamptz;
BEGIN
    SELECT l.time_zone INTO v_zone FROM books.location l WHERE l.code = p_location;
    IF NOT FOUND THEN
        PERFORM audit.refuse('location_unknown', 'location',
                             format('Location %s is not known.', p_location));
    END IF;
    v_from := p_day::timestamp AT TIME ZONE v_zone;
    v_to := (p_day + 1)::timestamp AT TIME ZONE v_zone;
    IF v_from > v_now THEN
        PERFORM audit.refuse('day_not_begun', 'day', 'This day has not begun at the location.');
    END IF;
    INSERT INTO books.close_run (location, day, run, begun_at, day_over)
    VALUES (p_location, p_day, v_run, v_now, v_to <= v_now)
    ON CONFLICT (location, day) DO UPDATE
       SET run = excluded.run, begun_at = excluded.begun_at, day_over = excluded.day_over, items = 0;
    RETURN QUERY
        SELECT v_run::text, books.utc_minute(v_from - interval '2 hours'),
               books.utc_minute(v_from), books.utc_minute(v_to),
               books.utc_minute(v_to + interval '2 hours'), c.processor, c.account
          FROM books.close_accounts(p_location, v_from, v_to) AS c
         ORDER BY c.processor, c.account;
END
$$;

-- The run's row, locked, or a refusal when another run was begun since.
CREATE FUNCTION books.close_hold(p_location text, p_day date, p_run uuid) RETURNS books.close_run
LANGUAGE plpgsql
AS $$
DECLARE
    v_run books.close_run;
BEGIN
    SELECT * INTO v_run FROM books.close_run r
     WHERE r.location = p_location AND r.day = p_day AND r.run = p_run FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM audit.refuse('close_superseded', '',
                             'Another close of this day was begun meanwhile; this one has ended.');
    END IF;
    RETURN v_run;
END
$$;

-- Keeps a page of the processor's items as they came. p_part: -1 just before the day, 0 in it, 1
-- just after. An item that came before (pages may shift, accounts of one merchant list each
-- other's) is kept once; the day is asked for first.
CREATE FUNCTION books.close_items_put(p_location text, p_day date, p_run uuid, p_part integer,
                                      p_processor text, p_account text, p_items jsonb)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_kept bigint;
BEGIN
    PERFORM books.close_hold(p_location, p_day, p_run);
    WITH kept AS (
        INSERT INTO books.processor_item (location, day, run, part, processor, account,
                                          processor_id, reference, kind, result, amount_minor,
                                          last_four, follows, batch, created)
        SELECT p_location, p_day, p_run, p_part, p_processor, p_account, x.processor_id,
               coalesce(x.reference, ''), x.kind, x.result, x.amount_minor,
               coalesce(x.last_four, ''), coalesce(x.follows, ''), coalesce(x.batch, ''),
               coalesce(x.created, '')
          FROM jsonb_to_recordset(p_items)
            AS x (processor_id text, reference text, kind text, result text,
                  amount_minor bigint, last_four text, follows text, batch text, created text)
        ON CONFLICT DO NOTHING
        RETURNING 1)
    SELECT count(*) INTO v_kept FROM kept;
    UPDATE books.close_run r SET items = r.items + v_kept
     WHERE r.location = p_location AND r.day = p_day;
    RETURN v_kept;
END
$$;

-- What each of our attempts of the day should be at the processor:
-- OPEN (unresolved), COUNTS (money that stands at the end of the day), CANCELLED, NOTHING.
CREATE FUNCTION books.close_ours(p_location text, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (ref text, payment text, kind text, state text, follows text, amount_minor bigint,
               stands text)
LANGUAGE sql STABLE
AS $$
    SELECT a.ref, a.payment, a.kind, a.state, a.follows,
           coalesce(a.approved_minor, a.amount_minor),
           CASE
               WHEN a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW') THEN 'OPEN'
               WHEN a.kind = 'REFUND' AND a.state = 'APPROVED' THEN 'COUNTS'
               -- a void counts by itself when what it takes back is of an earlier day
               WHEN a.kind = 'VOID' AND a.state = 'APPROVED' THEN
                   CASE WHEN EXISTS (
                       SELECT 1 FROM payment.attempt t
                        WHERE t.payment = a.payment AND t.processor_id = a.follows
                          AND t.kind IN ('SALE', 'CAPTURE') AND t.closed_at < p_from)
                   THEN 'COUNTS' ELSE 'NOTHING' END
               WHEN a.kind IN ('SALE', 'CAPTURE') AND a.state IN ('APPROVED', 'REVERSED') THEN
                   CASE
                       WHEN v.voided THEN 'CANCELLED'
                       WHEN a.state = 'REVERSED' AND NOT v.taken_back THEN 'CANCELLED'
                       ELSE 'COUNTS'
                   END
               ELSE 'NOTHING'
           END
      FROM payment.attempt a
      JOIN payment.payment p ON p.id = a.payment
     CROSS JOIN LATERAL (
           SELECT coalesce(bool_or(f.kind = 'VOID' AND f.closed_at < p_to), false) AS voided,
                  count(*) > 0 AS taken_back
             FROM payment.follow_up f
            WHERE f.payment = a.payment AND f.kind IN ('VOID', 'REFUND') AND f.state = 'APPROVED'
              AND f.follows = a.processor_id) AS v
     WHERE p.location = p_location
       AND ((a.closed_at >= p_from AND a.closed_at < p_to)
            OR (a.closed_at IS NULL AND a.created_at >= p_from AND a.created_at < p_to))
$$;

-- The same for the processor's items of the run; VOIDS is a void. Ours are known by our reference
-- alone. `place`: OURS of this location, ELSEWHERE (another of our locations), UNKNOWN (not ours).
CREATE FUNCTION books.close_theirs(p_location text, p_day date, p_run uuid, p_to timestamptz)
RETURNS TABLE (processor text, account text, processor_id text, reference text, kind text,
               follows text, amount_minor bigint, part smallint, batch text, place text, state text,
               stands text)
LANGUAGE sql STABLE
AS $$
    SELECT i.processor, coalesce(a.account, i.account), i.processor_id, i.reference, i.kind,
           i.follows, i.amount_minor, i.part, i.batch,
           CASE WHEN a.ref IS NULL THEN 'UNKNOWN' WHEN p.location = p_location THEN 'OURS'
                ELSE 'ELSEWHERE' END,
           a.state,
           CASE
               WHEN i.result NOT IN ('APPROVED', 'VOIDED') THEN 'NOTHING'
               WHEN i.kind = 'VOID' THEN 'VOIDS'
               WHEN i.kind NOT IN ('SALE', 'CAPTURE', 'REFUND') THEN 'NOTHING'
               WHEN EXISTS (SELECT 1 FROM books.processor_item v
                             WHERE v.location = i.location AND v.day = i.day AND v.run = i.run
                               AND v.processor = i.processor AND v.kind = 'VOID'
                               AND v.result = 'APPROVED' AND v.part <= 0
                               AND v.follows = i.processor_id) THEN 'CANCELLED'
               -- shown voided by now; it stood at the end of the day if we voided it later
               WHEN i.result = 'VOIDED' AND NOT EXISTS (
                       SELECT 1 FROM payment.follow_up v
                        WHERE v.payment = a.payment AND v.kind = 'VOID' AND v.state = 'APPROVED'
                          AND v.follows = i.processor_id AND v.closed_at >= p_to) THEN 'CANCELLED'
               ELSE 'COUNTS'
           END
      FROM books.processor_item i
      LEFT JOIN payment.attempt a ON a.ref = i.reference
      LEFT JOIN payment.payment p ON p.id = a.payment
     WHERE i.location = p_location AND i.day = p_day AND i.run = p_run
$$;

-- The batches that the day's money is in, each to be asked after at the processor.
CREATE FUNCTION books.close_batches(p_location text, p_day date, p_run uuid)
RETURNS TABLE (processor text, account text, batch text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT t.processor, t.account, t.batch
      FROM books.location l
     CROSS JOIN LATERAL books.close_theirs(p_location, p_day, p_run,
                                           (p_day + 1)::timestamp AT TIME ZONE l.time_zone) AS t
     WHERE l.code = p_location AND t.batch <> '' AND t.part = 0 AND t.place <> 'ELSEWHERE'
       AND t.stands = 'COUNTS'
     ORDER BY t.processor, t.account, t.batch
$$;

CREATE FUNCTION books.close_batch_put(p_location text, p_day date, p_run uuid, p_processor text,
                                      p_account text, p_batch text, p_state text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM books.close_hold(p_location, p_day, p_run);
    INSERT INTO books.processor_batch (location, day, run, processor, account, batch, state)
    VALUES (p_location, p_day, p_run, p_processor, p_account, p_batch, p_state)
    ON CONFLICT (location, day, run, processor, account, batch) DO UPDATE SET state = excluded.state;
END
$$;

-- What differs, as rows of close_difference.
CREATE FUNCTION books.close_compare(p_location text, p_day date, p_run uuid, p_from timestamptz,
                                    p_to timestamptz)
RETURNS TABLE (kind text, payment text, attempt text, processor_id text, ours_minor bigint,
               theirs_minor bigint, sentence text)
LANGUAGE sql STABLE
AS $$
    WITH o AS MATERIALIZED (
        SELECT * FROM books.close_ours(p_location, p_from, p_to)
    ), t AS MATERIALIZED (
        SELECT * FROM books.close_theirs(p_location, p_day, p_run, p_to)
    ), ours_open AS (
        SELECT 'UNRESOLVED', o.payment, o.ref, NULL::text, o.amount_minor, NULL::bigint,
               format('The outcome of this %s is not known yet (%s).', o.kind, o.state)
          FROM o WHERE o.stands = 'OPEN'
    ), ours_standing AS (
        SELECT o.*, n.*
          FROM o
         CROSS JOIN LATERAL (
               SELECT count(*) FILTER (WHERE c.counts AND c.part = 0) AS in_day,
                      count(*) FILTER (WHERE c.counts AND c.part <> 0) AS near_day,
                      count(*) FILTER (WHERE c.stands = 'CANCELLED') AS cancelled,
                      count(*) AS any,
                      sum(c.amount_minor) FILTER (WHERE c.counts AND c.part = 0)::bigint AS total,
                      min(c.processor_id) AS processor_id,
                      bool_and(CASE WHEN c.kind = 'CAPTURE' THEN 'SALE' ELSE c.kind END
                               = CASE WHEN o.kind = 'CAPTURE' THEN 'SALE' ELSE o.kind END)
                          FILTER (WHERE c.counts AND c.part = 0) AS same_kind
                 FROM (SELECT t.*, t.stands IN ('COUNTS', 'VOIDS') AS counts FROM t
                        WHERE t.reference = o.ref
                        UNION
                       SELECT t.*, true FROM t
                        WHERE o.kind = 'VOID' AND t.stands = 'VOIDS' AND t.follows = o.follows) AS c
         ) AS n
         WHERE o.stands = 'COUNTS'
    ), ours_differing AS (
        SELECT d.kind, s.payment, s.ref, s.processor_id, s.amount_minor, s.total, d.sentence
          FROM ours_standing s
         CROSS JOIN LATERAL (
               SELECT CASE
                          WHEN s.in_day > 1 THEN 'DUPLICATE'
                          WHEN s.in_day = 1 AND NOT s.same_kind THEN 'STATUS'
                          WHEN s.in_day = 1 AND s.total <> s.amount_minor THEN 'AMOUNT'
                          WHEN s.in_day = 1 THEN NULL
                          WHEN s.cancelled > 0 THEN 'STATUS'
                          WHEN s.near_day > 0 THEN 'DATE'
                          WHEN s.any > 0 THEN 'STATUS'
                          ELSE 'MISSING_AT_PROCESSOR'
                      END AS kind,
                      CASE
                          WHEN s.in_day > 1 THEN format('The processor has it %s times.', s.in_day)
                          WHEN s.in_day = 1 AND NOT s.same_kind
                              THEN format('Here it is a %s, at the processor something else.', s.kind)
                          WHEN s.in_day = 1 THEN 'The amounts differ.'
                          WHEN s.cancelled > 0 THEN 'The processor shows it voided; here it stands.'
                          WHEN s.near_day > 0 THEN 'The processor has it on the day beside.'
                          WHEN s.any > 0 THEN 'The processor shows it as not approved.'
                          ELSE 'The processor does not have it.'
                      END AS sentence) AS d
         WHERE d.kind IS NOT NULL
    ), theirs_differing AS (
        SELECT CASE
                   WHEN t.place = 'UNKNOWN' THEN 'MISSING_HERE'
                   WHEN o.ref IS NULL AND t.state IN ('APPROVED', 'REVERSED') THEN 'DATE'
                   WHEN o.ref IS NULL
                        AND t.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW')
                       THEN 'UNRESOLVED'
                   ELSE 'STATUS'
               END,
               a.payment, a.ref, t.processor_id, o.amount_minor, t.amount_minor,
               CASE
                   WHEN t.place = 'UNKNOWN' THEN 'It was not made here.'
                   WHEN o.ref IS NULL AND t.state IN ('APPROVED', 'REVERSED')
                       THEN 'Here it is of another day.'
                   ELSE format('The processor shows it approved; here it is %s%s.', t.state,
                               CASE WHEN t.state = 'APPROVED' THEN ' and voided' ELSE '' END)
               END
          FROM t
          LEFT JOIN payment.attempt a ON a.ref = t.reference AND t.place = 'OURS'
          LEFT JOIN o ON o.ref = t.reference
         WHERE t.part = 0 AND t.stands = 'COUNTS' AND t.place <> 'ELSEWHERE'
           AND (o.ref IS NULL OR o.stands IN ('CANCELLED', 'NOTHING'))
    ), voided_elsewhere AS (
        -- somebody voided at the processor what stands here since an earlier day
        SELECT 'STATUS', a.payment, a.ref, t.processor_id,
               coalesce(a.approved_minor, a.amount_minor), t.amount_minor,
               'The processor shows it voided on this day; here it stands.'
          FROM t
          JOIN payment.attempt a ON a.processor = t.processor
                                AND a.account IN (SELECT l.account FROM books.location l
                                                   UNION
                                                  SELECT c.account FROM books.close_accounts(
                                                      p_location, p_from, p_to) AS c)
                                AND a.processor_id = t.follows AND a.processor_id IS NOT NULL
          JOIN payment.payment p ON p.id = a.payment AND p.location = p_location
         WHERE t.stands = 'VOIDS' AND t.part = 0 AND a.kind IN ('SALE', 'CAPTURE')
           AND a.state = 'APPROVED' AND a.closed_at < p_from
           AND NOT EXISTS (SELECT 1 FROM payment.follow_up v
                            WHERE v.payment = a.payment AND v.kind = 'VOID'
                              AND v.state = 'APPROVED' AND v.follows = a.processor_id)
    ), batches AS (
        -- of the day's money, and one that this run was told to close
        SELECT 'BATCH', NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bigint,
               CASE coalesce(b.state, 'NONE')
                   WHEN 'OPEN' THEN format('Batch %s is still open at the processor.', n.batch)
                   WHEN 'PENDING'
                       THEN format('Batch %s is still being processed at the processor.', n.batch)
                   WHEN 'FAILED'
                       THEN format('Batch %s failed at the processor: it is to be submitted again.',
                                   n.batch)
                   ELSE format('The processor does not list batch %s.', n.batch)
               END
          FROM (SELECT t.processor, t.account, t.batch FROM t
                 WHERE t.batch <> '' AND t.part = 0 AND t.place <> 'ELSEWHERE'
                   AND t.stands = 'COUNTS'
                 UNION
                SELECT x.processor, x.account, x.batch FROM books.processor_batch x
                 WHERE x.location = p_location AND x.day = p_day AND x.run = p_run) AS n
          LEFT JOIN books.processor_batch b
            ON b.location = p_location AND b.day = p_day AND b.run = p_run
           AND b.processor = n.processor AND b.account = n.account AND b.batch = n.batch
          JOIN books.close_run r ON r.location = p_location AND r.day = p_day
         -- the batch of a day that isn't over may be open
         WHERE coalesce(b.state, 'NONE') NOT IN ('CLOSED', CASE WHEN r.day_over THEN 'CLOSED'
                                                                ELSE 'OPEN' END)
    )
    SELECT * FROM ours_open
    UNION ALL SELECT * FROM ours_differing
    UNION ALL SELECT * FROM theirs_differing
    UNION ALL SELECT * FROM voided_elsewhere
    UNION ALL SELECT * FROM batches
$$;

-- Matches a run whose items were all put, keeps the result in place of the one before, and drops the
-- copies of the runs before. Refused unless it is the last run begun and has every item it put.
CREATE FUNCTION books.close_match(p_location text, p_day date, p_run uuid)
RETURNS SETOF books.day_close
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_run books.close_run := books.close_hold(p_location, p_day, p_run);
    v_place books.location;
    v_from timestamptz;
    v_to timestamptz;
    v_items bigint;
    c books.day_close;
BEGIN
    SELECT count(*) INTO v_items FROM books.processor_item i
     WHERE i.location = p_location AND i.day = p_day AND i.run = p_run;
    IF v_items <> v_run.items THEN
        RAISE EXCEPTION 'close % of % %: % items were kept, % are there', p_run, p_location, p_day,
            v_run.items, v_items USING ERRCODE = 'KP002';
    END IF;
    SELECT * INTO STRICT v_place FROM books.location l WHERE l.code = p_location;
    v_from := p_day::timestamp AT TIME ZONE v_place.time_zone;
    v_to := (p_day + 1)::timestamp AT TIME ZONE v_place.time_zone;
    SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.kind, d.payment, d.attempt, d.processor_id),
                    '[]')
      INTO c.differences
      FROM books.close_compare(p_location, p_day, p_run, v_from, v_to) AS d;
    SELECT count(*), coalesce(sum(o.amount_minor) FILTER (WHERE o.kind IN ('SALE', 'CAPTURE')), 0),
           coalesce(sum(o.amount_minor) FILTER (WHERE o.kind IN ('REFUND', 'VOID')), 0)
      INTO c.ours_count, c.ours_gross_minor, c.ours_refund_minor
      FROM books.close_ours(p_location, v_from, v_to) AS o
     WHERE o.stands = 'COUNTS';
    SELECT count(*), coalesce(sum(t.amount_minor) FILTER (WHERE t.kind IN ('SALE', 'CAPTURE')), 0),
           coalesce(sum(t.amount_minor) FILTER (WHERE t.kind IN ('REFUND', 'VOID')), 0),
           books.cut(coalesce(string_agg(DISTINCT nullif(t.batch, ''), ' '), ''))
      INTO c.theirs_count, c.theirs_gross_minor, c.theirs_refund_minor, c.batches
      FROM books.close_theirs(p_location, p_day, p_run, v_to) AS t
     WHERE t.part = 0 AND t.place <> 'ELSEWHERE'
       AND (t.stands = 'COUNTS'
            OR (t.stands = 'VOIDS'
                AND EXISTS (SELECT 1 FROM books.close_ours(p_location, v_from, v_to) AS o
                             WHERE o.kind = 'VOID' AND o.stands = 'COUNTS'
                               AND (o.ref = t.reference OR o.follows = t.follows))));
    PERFORM payment.close_take_back(p_location, p_day, p_run);
    c.location := p_location;
    c.day := p_day;
    c.run := p_run;
    c.at := clock_timestamp();
    c.day_over := v_run.day_over;
    c.currency := v_place.currency;
    c.net_minor := c.ours_gross_minor - c.ours_refund_minor;
    c.balanced := c.differences = '[]'
                  AND (c.ours_count, c.ours_gross_minor, c.ours_refund_minor)
                      = (c.theirs_count, c.theirs_gross_minor, c.theirs_refund_minor);
    DELETE FROM books.day_close d WHERE d.location = p_location AND d.day = p_day;
    INSERT INTO books.day_close SELECT c.*;
    DELETE FROM books.processor_item i
     WHERE i.location = p_location AND i.day = p_day AND i.run <> p_run;
    DELETE FROM books.processor_batch b
     WHERE b.location = p_location AND b.day = p_day AND b.run <> p_run;
    RETURN NEXT c;
END
$$;

-- The differences of the run's kept result, the first 500; `total` is how many there are.
CREATE FUNCTION books.close_differences(p_location text, p_day date, p_run uuid)
RETURNS TABLE (kind text, payment text, attempt text, processor_id text, ours_minor bigint,
               theirs_minor bigint, sentence text, total integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT x.kind, x.payment, x.attempt, x.processor_id, x.ours_minor, x.theirs_minor, x.sentence,
           jsonb_array_length(d.differences)
      FROM books.day_close d
     CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(d.differences)
           AS (kind text, payment text, attempt text, processor_id text, ours_minor bigint,
               theirs_minor bigint, sentence text)) WITH ORDINALITY
           AS x (kind, payment, attempt, processor_id, ours_minor, theirs_minor, sentence, place)
     WHERE d.location = p_location AND d.day = p_day AND d.run = p_run
     ORDER BY x.place LIMIT 500
$$;

-- The days that the night has to close: yesterday; each of the last 60 days since the first close that
-- no finished day's close was kept of (nights that the suite was down); and of the last week those
-- not in balance (a batch may have been in process, an outcome unknown).
CREATE FUNCTION books.close_days(p_location text) RETURNS TABLE (day date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_zone text;
    v_yesterday date;
    v_first date;
BEGIN
    SELECT l.time_zone INTO v_zone FROM books.location l WHERE l.code = p_location;
    IF NOT FOUND THEN
        PERFORM audit.refuse('location_unknown', 'location',
                             format('Location %s is not known.', p_location));
    END IF;
    v_yesterday := (clock_timestamp() AT TIME ZONE v_zone)::date - 1;
    SELECT min(c.day) INTO v_first FROM books.day_close c WHERE c.location = p_location;
    RETURN QUERY
        SELECT g.day FROM (
            SELECT s::date AS day
              FROM generate_series(greatest(coalesce(v_first, v_yesterday),
                                            v_yesterday - 59)::timestamp,
                                   v_yesterday::timestamp, interval '1 day') AS s) AS g
         WHERE g.day = v_yesterday
            OR NOT EXISTS (SELECT 1 FROM books.day_close c
                            WHERE c.location = p_location AND c.day = g.day AND c.day_over
                              AND (c.balanced OR g.day < v_yesterday - 6))
         ORDER BY g.day;
    IF NOT FOUND THEN
        RETURN QUERY SELECT v_yesterday;
    END IF;
END
$$;

GRANT EXECUTE ON FUNCTION
    books.close_begin(text, date),
    books.close_items_put(text, date, uuid, integer, text, text, jsonb),
    books.close_batches(text, date, uuid),
    books.close_batch_put(text, date, uuid, text, text, text, text),
    books.close_match(text, date, uuid),
    books.close_differences(text, date, uuid),
    books.close_days(text)
    TO kometpay_settled;
