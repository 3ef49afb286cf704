-- Recovery: instances of gatewayd, and the claims of what is unresolved. Must never take an attempt
-- in SENDING from an instance that wasn't proved dead.
-- Locks: the instance (advisory: shared by who acts, exclusive by who ends it), its claims (advisory),
-- a payment's root attempt, the attempt. Claims skip what is locked; nobody waits for them.
SET LOCAL ROLE kometpay_owner;

CREATE FUNCTION payment.instance_start(p_id text, p_host text, p_boot_id text, p_pid integer,
                                       p_process_start text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO payment.instance (id, host, boot_id, pid, process_start, started_at)
    VALUES (p_id, p_host, p_boot_id, p_pid, p_process_start, clock_timestamp())
    ON CONFLICT (id) DO NOTHING;
    PERFORM 1 FROM payment.instance i WHERE i.id = p_id AND i.ended_at IS NULL;
    RETURN FOUND;
END
$$;

-- The instances that have not ended, but for this one.
CREATE FUNCTION payment.instance_others(p_id text)
RETURNS TABLE (id text, host text, boot_id text, pid integer, process_start text,
               started_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.id, i.host, i.boot_id, i.pid, i.process_start, i.started_at
      FROM payment.instance i WHERE i.ended_at IS NULL AND i.id <> p_id
     ORDER BY i.started_at
$$;

-- Marks an instance ended, that was proved dead (or that says so of itself as its last act), and
-- makes due what it was sending or had claimed. Waits until its last transaction has ended. True if
-- it was alive.
CREATE FUNCTION payment.instance_end(p_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_due bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_id, 1));
    UPDATE payment.instance i SET ended_at = clock_timestamp()
     WHERE i.id = p_id AND i.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    WITH due AS (
        UPDATE payment.attempt a SET next_try_at = clock_timestamp()
         WHERE a.holder = p_id AND (a.state = 'SENDING' OR a.claimed_at IS NOT NULL)
           AND a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW') -- by attempt_open
        RETURNING 1)
    SELECT count(*) INTO v_due FROM due;
    PERFORM audit.append('gatewayd', 'instance.end', p_id, jsonb_build_object('taken_over', v_due));
    RETURN true;
END
$$;

-- Claims work whose time has come, for this instance: a new epoch fences whoever had it before.
-- A claim that isn't answered by attempt_result or attempt_absent is due again after two minutes.
-- p_boot_ms is the host's boot clock: the horizon must have passed by it too, since the first claim
-- on this boot of the host, so that a jump of the database's wall clock ends no horizon.
CREATE FUNCTION payment.due(p_holder text, p_limit integer, p_horizon_ms bigint, p_boot_ms bigint)
RETURNS TABLE (ref text, payment text, kind text, state text, epoch integer, processor text,
               account text, amount_minor bigint, currency text, last_four text, follows text,
               processor_id text, reason text, tries integer, age_ms bigint, closed_ms bigint, state_ms bigint,
               past_horizon boolean, must_not_stand boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_boot text;
    a payment.attempt;
BEGIN
    IF NOT payment.holder_lives(p_holder) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(p_holder, 2)); -- see claims_drop
    SELECT i.boot_id INTO v_boot FROM payment.instance i WHERE i.id = p_holder;
    FOR a IN
        SELECT t.* FROM payment.attempt t
         WHERE t.next_try_at <= v_now
           AND (t.state IN ('UNKNOWN', 'REVERSING', 'REVIEW', 'NOT_CHARGED')
                OR (t.state = 'SENDING'
                    AND EXISTS (SELECT 1 FROM payment.instance i
                                 WHERE i.id = t.holder AND i.ended_at IS NOT NULL)))
         ORDER BY t.next_try_at
         LIMIT p_limit
           FOR NO KEY UPDATE OF t SKIP LOCKED
    LOOP
        IF a.state = 'SENDING' AND a.kind NOT IN ('SALE', 'AUTH') THEN
            -- its event needs the root locked; if somebody has it, this one waits for the next turn
            PERFORM 1 FROM payment.attempt t
              WHERE t.payment = a.payment AND t.kind IN ('SALE', 'AUTH')
                FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
        END IF;
        UPDATE payment.attempt t
           SET holder = p_holder, epoch = t.epoch + 1, claimed_at = v_now,
               next_try_at = v_now + interval '120 seconds',
               seen_boot = v_boot,
               seen_boot_ms = CASE WHEN t.seen_boot = v_boot THEN t.seen_boot_ms ELSE p_boot_ms END,
               state = CASE t.state WHEN 'SENDING' THEN 'UNKNOWN' ELSE t.state END,
               closed_at = CASE t.state WHEN 'SENDING' THEN v_now ELSE t.closed_at END,
               horizon_at = CASE WHEN t.state = 'SENDING' OR t.horizon_at IS NULL
                   THEN v_now + p_horizon_ms * interval '1 millisecond' ELSE t.horizon_at END
         WHERE t.ref = a.ref;
        IF a.state = 'SENDING' THEN
            PERFORM payment.event_append(a.payment, a.ref, a.kind, 'SENDING', 'UNKNOWN', p_holder,
                                         'taken over from ' || a.holder);
        END IF;
        RETURN QUERY
            SELECT t.ref, t.payment, t.kind, t.state, t.epoch, t.processor, t.account,
                   t.amount_minor, t.currency, p.last_four, t.follows, t.processor_id,
                   t.reason, t.tries,
                   payment.ms_between(t.created_at, v_now), payment.ms_between(t.closed_at, v_now),
                   payment.ms_between(t.state_at, v_now),
                   t.horizon_at <= v_now AND p_boot_ms - t.seen_boot_ms >= p_horizon_ms,
                   t.must_not_stand
              FROM payment.attempt t JOIN payment.payment p ON p.id = t.payment
             WHERE t.ref = a.ref;
    END LOOP;
END
$$;

-- The answer to a claim was lost: what this instance may have claimed is due again, at once. Waits
-- until that claim has ended, one way or the other. Called while no inquiry is under way; should one
-- run all the same, the next epoch fences it.
CREATE FUNCTION payment.claims_drop(p_holder text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_holder, 2));
    UPDATE payment.attempt a SET next_try_at = clock_timestamp(), claimed_at = NULL
     WHERE a.holder = p_holder AND a.claimed_at IS NOT NULL
       AND a.state IN ('UNKNOWN', 'REVERSING', 'REVIEW')
       AND a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW'); -- by attempt_open
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    RETURN v_dropped;
END
$$;

CREATE FUNCTION payment.ms_between(p_from timestamptz, p_to timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN floor(extract(epoch FROM p_to - p_from) * 1000)::bigint;

-- Notes the first well-formed 'not found' after the horizon, and ends the claim: due again in
-- p_next_try_ms. NULL when fenced or before the horizon. For how long nothing was found, without
-- another answer in between (attempt_result forgets it).
CREATE FUNCTION payment.attempt_absent(p_ref text, p_holder text, p_epoch integer,
                                       p_next_try_ms bigint)
RETURNS TABLE (absent_for_ms bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH noted AS (
        UPDATE payment.attempt a
           SET absent_at = coalesce(a.absent_at, clock_timestamp()), claimed_at = NULL,
               tries = a.tries + 1,
               next_try_at = clock_timestamp() + p_next_try_ms * interval '1 millisecond'
         WHERE a.ref = p_ref AND a.holder = p_holder AND a.epoch = p_epoch
           AND a.horizon_at <= clock_timestamp() AND NOT payment.is_final(a.state)
        RETURNING a.absent_at)
    SELECT CASE WHEN n.absent_at IS NOT NULL
                THEN greatest(payment.ms_between(n.absent_at, clock_timestamp()), 0) END
      FROM (VALUES (1)) AS one LEFT JOIN noted n ON true
$$;

-- A processor answers again: what waits for it is due now, unless a resolver is at it.
CREATE FUNCTION payment.wake(p_processor text, p_account text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH woken AS (
        UPDATE payment.attempt a SET next_try_at = clock_timestamp()
         WHERE a.next_try_at > clock_timestamp()
           AND (p_processor IS NULL OR a.processor = p_processor)
           AND (p_account IS NULL OR a.account = p_account)
           AND a.state IN ('UNKNOWN', 'REVERSING', 'REVIEW')
           AND (a.claimed_at IS NULL OR a.claimed_at < clock_timestamp() - interval '120 seconds'
                OR EXISTS (SELECT 1 FROM payment.instance i
                            WHERE i.id = a.holder AND i.ended_at IS NOT NULL))
        RETURNING 1)
    SELECT count(*) FROM woken
$$;

-- The last net: the processor's list of a day shows a sale or authorisation standing that was told
-- as not charged. It is due to be taken back. False if there is nothing to take back.
CREATE FUNCTION payment.attempt_found_standing(p_ref text, p_processor_id text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    a payment.attempt;
    v_taken boolean;
BEGIN
    SELECT t.* INTO a FROM payment.attempt t
      WHERE t.ref = p_ref AND t.kind IN ('SALE', 'AUTH')
        AND t.state IN ('DECLINED', 'NOT_SENT', 'REFUSED', 'NOT_CHARGED', 'REVERSED')
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM payment.attempt f
      WHERE f.payment = a.payment AND f.kind IN ('CAPTURE', 'VOID', 'REFUND')
        AND f.state = 'APPROVED' AND f.follows = p_processor_id;
    IF FOUND THEN
        RETURN false; -- refunded: its row at the processor stays as it was
    END IF;
    SELECT EXISTS (SELECT 1 FROM payment.attempt t
                    WHERE t.processor = a.processor AND t.account = a.account
                      AND t.processor_id = p_processor_id AND t.ref <> p_ref) INTO v_taken;
    UPDATE payment.attempt t
       SET state = 'REVERSING', epoch = t.epoch + 1, claimed_at = NULL, tries = 0, absent_at = NULL,
           next_try_at = clock_timestamp(),
           processor_id = CASE WHEN NOT v_taken THEN p_processor_id END
     WHERE t.ref = p_ref;
    PERFORM payment.event_append(a.payment, p_ref, a.kind, a.state, 'REVERSING', 'close',
                                 'found approved at the close');
    RETURN true;
END
$$;

-- The same for all of a run of a day's close, in the order of their locks. How many there are.
CREATE FUNCTION payment.close_take_back(p_location text, p_day date, p_run uuid) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    v_count bigint := 0;
    i record;
BEGIN
    FOR i IN
        SELECT t.reference, t.processor_id
          FROM books.processor_item t
          JOIN payment.attempt a ON a.ref = t.reference AND a.processor = t.processor
                                AND a.account = t.account
         WHERE t.location = p_location AND t.day = p_day AND t.run = p_run
           AND t.result = 'APPROVED' AND t.kind IN ('SALE', 'AUTH')
           AND NOT EXISTS (SELECT 1 FROM books.processor_item v
                            WHERE v.location = t.location AND v.day = t.day AND v.run = t.run
                              AND v.processor = t.processor AND v.result = 'APPROVED'
                              AND v.kind IN ('VOID', 'REFUND')
                              AND v.follows = t.processor_id)
         ORDER BY t.reference
    LOOP
        v_count := v_count
                   + payment.attempt_found_standing(i.reference, i.processor_id)::integer;
    END LOOP;
    RETURN v_count;
END
$$;

-- What is unclear, with what is being sent for longer than any send takes.
CREATE FUNCTION payment.counts()
RETURNS TABLE (unknown bigint, oldest_unknown_ms bigint, review bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FILTER (WHERE a.state <> 'REVIEW'),
           coalesce(greatest(payment.ms_between(min(a.created_at) FILTER (WHERE a.state <> 'REVIEW'),
                                                clock_timestamp()), 0), 0),
           count(*) FILTER (WHERE a.state = 'REVIEW')
      FROM payment.attempt a
     WHERE a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW') -- by attempt_open
       AND (a.state <> 'SENDING' OR a.created_at < clock_timestamp() - interval '120 seconds')
$$;

GRANT EXECUTE ON FUNCTION
    payment.instance_start(text, text, text, integer, text),
    payment.instance_others(text),
    payment.instance_end(text),
    payment.due(text, integer, bigint, bigint),
    payment.claims_drop(text),
    payment.attempt_absent(text, text, integer, bigint),
    payment.wake(text, text),
    payment.counts()
    TO kometpay_gatewayd;
