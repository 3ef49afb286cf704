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
-- A claim that isn't answered by attempt_result is due again after two minutes.
CREATE FUNCTION payment.due(p_holder text, p_limit integer, p_horizon_ms bigint)
RETURNS TABLE (ref text, payment text, kind text, state text, epoch integer, processor text,
               account text, amount_minor bigint, currency text, last_four text, follows text,
               parent text, processor_id text, tries integer, cancel_requested boolean,
               age_ms bigint, closed_ms bigint, past_horizon boolean, absent_for_ms bigint,
               location text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    a payment.attempt;
BEGIN
    IF NOT payment.holder_lives(p_holder) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(p_holder, 2)); -- see claims_drop
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
               state = CASE t.state WHEN 'SENDING' THEN 'UNKNOWN' ELSE t.state END,
               closed_at = CASE t.state WHEN 'SENDING' THEN v_now ELSE t.closed_at END,
               horizon_at = CASE t.state
                   WHEN 'SENDING' THEN v_now + p_horizon_ms * interval '1 millisecond'
                   ELSE t.horizon_at END
         WHERE t.ref = a.ref;
        IF a.state = 'SENDING' THEN
            PERFORM payment.event_append(a.payment, a.ref, a.kind, 'SENDING', 'UNKNOWN', p_holder,
                                         'taken over from ' || a.holder);
        END IF;
        RETURN QUERY
            SELECT t.ref, t.payment, t.kind, t.state, t.epoch, t.processor, t.account,
                   t.amount_minor, t.currency, p.last_four, t.follows, t.parent, t.processor_id,
                   t.tries, t.cancel_requested, payment.ms_between(t.created_at, v_now),
                   payment.ms_between(t.closed_at, v_now), coalesce(t.horizon_at <= v_now, false),
                   payment.ms_between(t.absent_at, v_now), p.location
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

-- Notes the first well-formed 'not found' after the horizon; NULL when fenced or before it.
CREATE FUNCTION payment.attempt_absent(p_ref text, p_holder text, p_epoch integer)
RETURNS TABLE (absent_for_ms bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH noted AS (
        UPDATE payment.attempt a SET absent_at = coalesce(a.absent_at, clock_timestamp())
         WHERE a.ref = p_ref AND a.holder = p_holder AND a.epoch = p_epoch
           AND a.horizon_at <= clock_timestamp()
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

CREATE FUNCTION payment.counts()
RETURNS TABLE (unknown bigint, oldest_unknown_ms bigint, review bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FILTER (WHERE a.state <> 'REVIEW'),
           coalesce(greatest(payment.ms_between(min(a.created_at) FILTER (WHERE a.state <> 'REVIEW'),
                                                clock_timestamp()), 0), 0),
           count(*) FILTER (WHERE a.state = 'REVIEW')
      FROM payment.attempt a
     WHERE a.state IN ('UNKNOWN', 'REVERSING', 'REVIEW')
       AND a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW') -- by attempt_open
$$;

GRANT EXECUTE ON FUNCTION
    payment.instance_start(text, text, text, integer, text),
    payment.instance_others(text),
    payment.instance_end(text),
    payment.due(text, integer, bigint),
    payment.claims_drop(text),
    payment.attempt_absent(text, text, integer),
    payment.wake(text, text),
    payment.counts()
    TO kometpay_gatewayd;
