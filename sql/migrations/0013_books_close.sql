-- The day's close: our history against the processor's own list, item by item. Must never call a day
-- balanced that isn't, and changes no row but its own result.
-- A day's item is what our side stopped waiting for on that day in the location's zone (closed_at).
-- What was voided before the day ended cancels on both sides; a void of an earlier day's item counts
-- against the day of the void.
SET LOCAL ROLE kometpay_owner;

-- A run of a close: its id and the ranges to ask the processor for, in UTC and whole minutes.
CREATE FUNCTION books.close_begin(p_location text, p_day date)
RETURNS TABLE (run text, before_from text, day_from text, day_to text, after_to text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
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
    IF v_from > clock_timestamp() THEN
        PERFORM audit.refuse('day_not_begun', 'day', 'This day has not begun at the location.');
    END IF;
    RETURN QUERY
        SELECT gen_random_uuid()::text, books.utc_minute(v_from - interval '2 hours'),
               books.utc_minute(v_from), books.utc_minute(v_to),
               books.utc_minute(v_to + interval '2 hours');
END
$$;

CREATE FUNCTION books.utc_minute(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE
RETURN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI');

-- Keeps a page of the processor's items as they came. p_part: -1 just before the day, 0 in it, 1
-- just after. An item that came before (pages may shift) is kept once; the day is asked for first.
CREATE FUNCTION books.close_items_put(p_location text, p_day date, p_run uuid, p_part integer,
                                      p_items jsonb) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH kept AS (
        INSERT INTO books.processor_item (location, day, run, part, processor_id, reference, kind,
                                          approved, amount_minor, last_four, follows, batch, created)
        SELECT p_location, p_day, p_run, p_part, x.processor_id, coalesce(x.reference, ''), x.kind,
               x.approved, x.amount_minor, coalesce(x.last_four, ''), coalesce(x.follows, ''),
               coalesce(x.batch, ''), coalesce(x.created, '')
          FROM jsonb_to_recordset(p_items)
            AS x (processor_id text, reference text, kind text, approved boolean,
                  amount_minor bigint, last_four text, follows text, batch text, created text)
        ON CONFLICT DO NOTHING
        RETURNING 1)
    SELECT count(*) FROM kept
$$;

-- What each of our attempts of the day should be at the processor:
-- OPEN (unresolved), COUNTS (money that stands at the end of the day), CANCELLED, NOTHING.
CREATE FUNCTION books.close_ours(p_location text, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (ref text, payment text, kind text, state text, amount_minor bigint, stands text)
LANGUAGE sql STABLE
AS $$
    SELECT a.ref, a.payment, a.kind, a.state, coalesce(a.approved_minor, a.amount_minor),
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
             FROM payment.attempt f
            WHERE f.payment = a.payment AND f.kind IN ('CAPTURE', 'VOID', 'REFUND')
              AND f.kind IN ('VOID', 'REFUND') AND f.state = 'APPROVED'
              AND f.follows = a.processor_id) AS v
     WHERE p.location = p_location
       AND ((a.closed_at >= p_from AND a.closed_at < p_to)
            OR (a.closed_at IS NULL AND a.created_at >= p_from AND a.created_at < p_to))
$$;

-- The same for the processor's items of the day. `place`: ours of this location, ELSEWHERE (another
-- location of the same account), UNKNOWN (not ours).
CREATE FUNCTION books.close_theirs(p_location text, p_day date, p_run uuid)
RETURNS TABLE (processor_id text, reference text, kind text, amount_minor bigint, part smallint,
               batch text, place text, stands text)
LANGUAGE sql STABLE
AS $$
    SELECT i.processor_id, i.reference, i.kind, i.amount_minor, i.part, i.batch,
           CASE WHEN a.ref IS NULL THEN 'UNKNOWN' WHEN p.location = p_location THEN 'OURS'
                ELSE 'ELSEWHERE' END,
           CASE
               WHEN NOT i.approved THEN 'NOTHING'
               WHEN i.kind NOT IN ('SALE', 'CAPTURE', 'REFUND') THEN 'NOTHING'
               WHEN EXISTS (SELECT 1 FROM books.processor_item v
                             WHERE v.location = i.location AND v.day = i.day AND v.run = i.run
                               AND v.kind = 'VOID' AND v.approved AND v.part <= 0
                               AND v.follows = i.processor_id) THEN 'CANCELLED'
               ELSE 'COUNTS'
           END
      FROM books.processor_item i
      JOIN books.location l ON l.code = i.location
      LEFT JOIN payment.attempt a ON a.ref = i.reference AND a.processor = l.processor
                                 AND a.account = l.account
      LEFT JOIN payment.payment p ON p.id = a.payment
     WHERE i.location = p_location AND i.day = p_day AND i.run = p_run
$$;
