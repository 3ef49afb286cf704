-- Attempts after the sale (capture, void, refund, reversal) and the result of any attempt.
-- Must never move more money back than came in, nor record a result for a holder that was replaced.
-- Locks, in this order: the instance (shared, advisory), the payment's root attempt, the key
-- (unique index), the attempt, the invoices by number, the audit head.
SET LOCAL ROLE kometpay_owner;

CREATE TYPE payment.attempt_begun AS (
    outcome text, -- MINE EXISTS CONFLICT REFUSED; of a reversal also WAIT and DONE
    code text,
    field text,
    sentence text,
    processor text,
    account text,
    ref text,
    payment text,
    amount_minor bigint,
    currency text,
    follows text,
    last_four text,
    kind text
);

CREATE TYPE payment.attempt_recorded AS (
    applied boolean,
    state text,
    epoch integer,
    cancel_requested boolean,
    id_taken boolean -- the processor gave us the id of another attempt: nothing of it was recorded
);

CREATE TYPE payment.plan AS (
    amount_minor bigint,
    follows text,
    code text,
    field text,
    sentence text
);

-- What a follow-up may do: its amount and the transaction it follows, or why not (code NULL: it may).
-- The caller holds the root attempt `p_root` locked.
CREATE FUNCTION payment.follow_up_plan(p_root payment.attempt, p_kind text, p_amount_minor bigint)
RETURNS payment.plan
LANGUAGE plpgsql
AS $$
DECLARE
    v_amount bigint;
    v_follows text;
    v_refusal payment.refusal;
    v_busy boolean;
    v_voided boolean;
    v_refunded bigint;
    v_captured bigint;
    v_capture_id text;
    v_most bigint;
BEGIN
    SELECT coalesce(bool_or(f.state IN ('SENDING', 'UNKNOWN', 'REVIEW')), false),
           coalesce(bool_or(f.kind = 'VOID' AND f.state = 'APPROVED'), false),
           coalesce(sum(f.approved_minor) FILTER (WHERE f.kind = 'REFUND' AND f.state = 'APPROVED'),
                    0),
           max(f.approved_minor) FILTER (WHERE f.kind = 'CAPTURE' AND f.state = 'APPROVED'),
           max(f.processor_id) FILTER (WHERE f.kind = 'CAPTURE' AND f.state = 'APPROVED')
      INTO v_busy, v_voided, v_refunded, v_captured, v_capture_id
      FROM payment.attempt f
     WHERE f.payment = p_root.payment AND f.kind IN ('CAPTURE', 'VOID', 'REFUND')
       AND f.parent IS NULL;
    IF p_root.kind = 'SALE' THEN
        v_captured := p_root.approved_minor;
    END IF;
    v_follows := coalesce(v_capture_id, p_root.processor_id);
    v_most := CASE p_kind WHEN 'REFUND' THEN v_captured - v_refunded
                          WHEN 'CAPTURE' THEN p_root.approved_minor
                          ELSE coalesce(v_captured, p_root.approved_minor) END;
    v_amount := CASE WHEN p_kind = 'VOID' OR p_amount_minor = 0 THEN v_most
                     ELSE p_amount_minor END;
    v_refusal := CASE
        WHEN p_root.state <> 'APPROVED' THEN
            payment.refusal_of('payment_not_approved', 'payment', 'This payment was not approved.')
        WHEN p_kind = 'CAPTURE' AND p_root.kind <> 'AUTH' THEN
            payment.refusal_of('not_an_authorisation', 'payment',
                'This payment is a sale; there is nothing to capture.')
        WHEN v_voided THEN
            payment.refusal_of('already_voided', 'payment', 'This payment was voided already.')
        WHEN v_busy THEN
            payment.refusal_of('in_progress', 'payment',
                'Another request about this payment is not finished yet.')
        WHEN p_kind = 'CAPTURE' AND v_captured IS NOT NULL THEN
            payment.refusal_of('already_captured', 'payment', 'This payment was captured already.')
        WHEN p_kind = 'CAPTURE' AND v_amount > v_most THEN
            payment.refusal_of('amount_above_authorised', 'amount_minor',
                'Less than that was authorised.')
        WHEN p_kind = 'VOID' AND v_refunded > 0 THEN
            payment.refusal_of('already_refunded', 'payment',
                'A refund has already been issued for this payment.')
        WHEN p_kind = 'REFUND' AND v_captured IS NULL THEN
            payment.refusal_of('not_captured', 'payment',
                'This authorisation was not captured; void it instead.')
        -- 0 asks for the whole payment back: not possible once any of it went back
        WHEN p_kind = 'REFUND' AND v_refunded > 0 AND (p_amount_minor = 0 OR v_most <= 0) THEN
            payment.refusal_of('already_refunded', 'payment',
                'A refund has already been issued for this payment.')
        WHEN p_kind = 'REFUND' AND v_amount > v_most THEN
            payment.refusal_of('amount_above_refundable', 'amount_minor',
                'Less than that is left of this payment to refund.')
    END;
    RETURN ROW(v_amount, v_follows, v_refusal.code, v_refusal.field, v_refusal.sentence)
           ::payment.plan;
END
$$;

CREATE FUNCTION payment.plan_refused(p_code text, p_field text, p_sentence text)
RETURNS payment.plan
LANGUAGE sql IMMUTABLE
RETURN ROW(NULL::bigint, NULL::text, p_code, p_field, p_sentence)::payment.plan;

-- Inserts a follow-up under its key, or finds what the key stands for. NULL when inserted.
CREATE FUNCTION payment.follow_up_insert(
    p_root payment.attempt, p_payment text, p_ref text, p_holder text, p_scope text, p_key text,
    p_fingerprint text, p_kind text, p_amount_minor bigint, p_follows text, p_parent text,
    p_lives boolean) RETURNS payment.attempt_begun
LANGUAGE plpgsql
AS $$
DECLARE
    v_found payment.attempt;
    v_last_four text;
BEGIN
    INSERT INTO payment.attempt (ref, payment, kind, scope, key, fingerprint, amount_minor, currency,
                                 state, holder, processor, account, follows, parent, created_at)
    VALUES (p_ref, p_payment, p_kind, p_scope, p_key, p_fingerprint, coalesce(p_amount_minor, 0),
            coalesce(p_root.currency, ''), 'SENDING', p_holder, coalesce(p_root.processor, ''),
            coalesce(p_root.account, ''), p_follows, p_parent, clock_timestamp())
    ON CONFLICT (scope, key) DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT a.* INTO STRICT v_found FROM payment.attempt a WHERE a.scope = p_scope AND a.key = p_key;
    SELECT p.last_four INTO v_last_four FROM payment.payment p WHERE p.id = v_found.payment;
    RETURN ROW(CASE
        WHEN v_found.fingerprint <> p_fingerprint THEN 'CONFLICT'
        WHEN v_found.ref = p_ref AND v_found.holder = p_holder AND v_found.epoch = 1
             AND v_found.state = 'SENDING' AND p_lives THEN 'MINE'
        ELSE 'EXISTS'
    END, NULL, NULL, NULL, v_found.processor, v_found.account, v_found.ref, v_found.payment,
    v_found.amount_minor, v_found.currency, v_found.follows, v_last_four, v_found.kind)
    ::payment.attempt_begun;
END
$$;

-- Begins a capture, void or refund. p_amount_minor 0 = all. The key belongs to the payment's location
-- and the POS that asks, whether or not it named the location.
CREATE FUNCTION payment.attempt_begin(
    p_ref text, p_holder text, p_location text, p_pos text, p_key text, p_fingerprint text,
    p_payment text, p_kind text, p_amount_minor bigint, p_actor text)
RETURNS payment.attempt_begun
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_lives boolean := payment.holder_lives(p_holder);
    v_root payment.attempt;
    v_plan payment.plan;
    v_begun payment.attempt_begun;
    v_of payment.payment;
    v_scope text;
BEGIN
    SELECT a.* INTO v_root FROM payment.attempt a
      WHERE a.payment = p_payment AND a.kind IN ('SALE', 'AUTH') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ROW('REFUSED', 'payment_unknown', 'payment', 'This payment is not known.', NULL, NULL,
                   p_ref, p_payment, NULL, NULL, NULL, NULL, p_kind)::payment.attempt_begun;
    END IF;
    SELECT p.* INTO STRICT v_of FROM payment.payment p WHERE p.id = p_payment;
    v_scope := v_of.location || '/' || p_pos;
    IF NOT v_lives THEN
        v_plan := payment.plan_refused('instance_ended', '',
                                       'This gateway instance was replaced by another.');
    ELSIF coalesce(p_location, '') NOT IN ('', v_of.location) THEN
        v_plan := payment.plan_refused('payment_of_other_location', 'location',
                                       'This payment was taken at another location.');
    ELSE
        v_plan := payment.follow_up_plan(v_root, p_kind, coalesce(p_amount_minor, 0));
    END IF;
    v_begun := payment.follow_up_insert(v_root, p_payment, p_ref, p_holder, v_scope, p_key,
                                        p_fingerprint, p_kind, v_plan.amount_minor, v_plan.follows,
                                        NULL, v_lives);
    IF v_begun.outcome IS NOT NULL THEN
        RETURN v_begun;
    END IF;
    IF v_plan.code IS NOT NULL THEN
        DELETE FROM payment.attempt a WHERE a.ref = p_ref;
        RETURN ROW('REFUSED', v_plan.code, v_plan.field, v_plan.sentence, NULL, NULL, p_ref,
                   p_payment, NULL, NULL, NULL, NULL, p_kind)::payment.attempt_begun;
    END IF;
    PERFORM payment.event_append(p_payment, p_ref, p_kind, '', 'SENDING', p_actor, '');
    IF p_kind IN ('VOID', 'REFUND') THEN
        PERFORM audit.append(p_actor, 'payment.' || lower(p_kind), p_payment,
                             jsonb_build_object('attempt', p_ref, 'scope', v_scope,
                                                'amount_minor', v_plan.amount_minor));
    END IF;
    RETURN ROW('MINE', NULL, NULL, NULL, v_root.processor, v_root.account, p_ref, p_payment,
               v_plan.amount_minor, v_root.currency, v_plan.follows, v_of.last_four, p_kind)
           ::payment.attempt_begun;
END
$$;

-- Begins the reversal of a payment in REVERSING, for the resolver that holds it in p_parent_epoch:
-- a void, or a refund once the processor would not void (its batch is closed).
-- WAIT: one is under way. DONE: one was approved (kind says which). p_processor_id and p_amount_minor:
-- the transaction to take back, NULL = as recorded.
CREATE FUNCTION payment.reversal_begin(p_ref text, p_holder text, p_parent text,
                                       p_parent_epoch integer, p_processor_id text,
                                       p_amount_minor bigint)
RETURNS payment.attempt_begun
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_lives boolean := payment.holder_lives(p_holder);
    v_root payment.attempt;
    v_follows text;
    v_amount bigint;
    v_count bigint;
    v_mine bigint;
    v_open bigint;
    v_done bigint;
    v_done_kind text;
    v_not_done text;
    v_kind text;
    v_refusal payment.refusal;
    v_begun payment.attempt_begun;
BEGIN
    SELECT a.* INTO v_root FROM payment.attempt a
      WHERE a.ref = p_parent AND a.kind IN ('SALE', 'AUTH') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ROW('REFUSED', 'payment_unknown', 'payment', 'This payment is not known.', NULL, NULL,
                   p_ref, NULL, NULL, NULL, NULL, NULL, NULL)::payment.attempt_begun;
    END IF;
    v_follows := coalesce(p_processor_id, v_root.processor_id);
    v_amount := coalesce(p_amount_minor, v_root.approved_minor, v_root.amount_minor);
    SELECT count(*), count(*) FILTER (WHERE f.ref = p_ref),
           count(*) FILTER (WHERE f.ref <> p_ref AND f.state IN ('SENDING', 'UNKNOWN', 'REVIEW')),
           count(*) FILTER (WHERE f.state = 'APPROVED' AND f.follows = v_follows),
           min(f.kind) FILTER (WHERE f.state = 'APPROVED' AND f.follows = v_follows),
           -- the last one that the processor would not do; a wrong key says nothing of the batch, and
           -- what was reversed already is not refunded as well
           (array_agg(f.kind ORDER BY f.created_at DESC)
                FILTER (WHERE f.follows = v_follows AND f.state IN ('DECLINED', 'REFUSED')
                          AND coalesce(f.reason, '') NOT IN ('KEY', 'ALREADY_REVERSED')))[1]
      INTO v_count, v_mine, v_open, v_done, v_done_kind, v_not_done
      FROM payment.attempt f
     WHERE f.payment = v_root.payment AND f.kind IN ('CAPTURE', 'VOID', 'REFUND')
       AND f.parent = p_parent;
    v_kind := CASE WHEN v_root.kind = 'SALE' AND v_not_done = 'VOID' THEN 'REFUND' ELSE 'VOID' END;
    v_refusal := CASE
        WHEN NOT v_lives OR v_root.holder <> p_holder OR v_root.epoch <> p_parent_epoch THEN
            payment.refusal_of('fenced', '', 'Another resolver has taken this payment over.')
        -- while the outcome is unknown, only a surplus transaction named by its id is taken back
        WHEN v_root.state <> 'REVERSING'
             AND (v_root.state NOT IN ('UNKNOWN', 'REVIEW') OR p_processor_id IS NULL
                  OR p_processor_id IS NOT DISTINCT FROM v_root.processor_id) THEN
            payment.refusal_of('not_reversing', 'payment', 'This payment is not being reversed.')
        WHEN v_follows IS NULL THEN
            payment.refusal_of('processor_id_unknown', '', 'There is no transaction to take back yet.')
    END;
    IF v_mine = 0 AND (v_refusal.code IS NOT NULL OR v_open > 0 OR v_done > 0) THEN
        RETURN ROW(CASE WHEN v_refusal.code IS NOT NULL THEN 'REFUSED' WHEN v_open > 0 THEN 'WAIT'
                        ELSE 'DONE' END,
                   v_refusal.code, v_refusal.field, v_refusal.sentence, v_root.processor,
                   v_root.account, p_ref, v_root.payment, NULL, NULL, v_follows, NULL,
                   coalesce(v_done_kind, v_kind))
               ::payment.attempt_begun;
    END IF;
    IF v_mine > 0 THEN
        -- asked again after a lost commit
        SELECT CASE WHEN a.state = 'SENDING' AND a.holder = p_holder AND a.epoch = 1 AND v_lives
                    THEN 'MINE' ELSE 'EXISTS' END,
               NULL, NULL, NULL, a.processor, a.account, a.ref, a.payment, a.amount_minor,
               a.currency, a.follows, p.last_four, a.kind
          INTO v_begun
          FROM payment.attempt a JOIN payment.payment p ON p.id = a.payment
         WHERE a.ref = p_ref;
        RETURN v_begun;
    END IF;
    v_begun := payment.follow_up_insert(v_root, v_root.payment, p_ref, p_holder, 'reversal',
                                        p_parent || ':' || v_count + 1, '', v_kind,
                                        v_amount, v_follows, p_parent, v_lives);
    IF v_begun.outcome IS NOT NULL THEN
        RAISE EXCEPTION 'reversal % of % exists', v_count + 1, p_parent USING ERRCODE = 'KP002';
    END IF;
    PERFORM payment.event_append(v_root.payment, p_ref, v_kind, '', 'SENDING', 'resolver',
                                 'reversal');
    SELECT 'MINE', NULL, NULL, NULL, v_root.processor, v_root.account, p_ref, v_root.payment,
           v_amount, v_root.currency, v_follows,
           p.last_four, v_kind
      INTO v_begun FROM payment.payment p WHERE p.id = v_root.payment;
    RETURN v_begun;
END
$$;

-- Records what an attempt came to. Applied only for the present holder and epoch; final outcomes
-- stay. An approval's applications and journal rows are of the same transaction.
-- p_next_try_ms counts where the attempt is looked at again.
CREATE FUNCTION payment.attempt_result(
    p_ref text, p_holder text, p_epoch integer, p_state text, p_processor_id text,
    p_authorisation_code text, p_approved_minor bigint, p_reason text, p_raw_code text,
    p_raw_message text, p_request_id text, p_avs text, p_csc text, p_batch text,
    p_next_try_ms bigint, p_horizon_ms bigint, p_actor text) RETURNS payment.attempt_recorded
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    a payment.attempt;
    v_root boolean;
    v_state text := p_state;
    v_moved boolean;
    v_id_taken boolean := false;
    v_end payment.event_end;
BEGIN
    SELECT t.* INTO a FROM payment.attempt t
      WHERE t.ref = p_ref AND t.kind IN ('SALE', 'AUTH') FOR NO KEY UPDATE;
    v_root := FOUND;
    IF NOT v_root THEN
        PERFORM 1 FROM payment.attempt t
          WHERE t.payment = (SELECT c.payment FROM payment.attempt c WHERE c.ref = p_ref)
            AND t.kind IN ('SALE', 'AUTH') FOR NO KEY UPDATE;
        SELECT t.* INTO a FROM payment.attempt t WHERE t.ref = p_ref FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN ROW(false, '', 0, false, false)::payment.attempt_recorded;
        END IF;
    END IF;
    IF p_state = 'APPROVED' AND v_root AND (a.cancel_requested OR a.must_not_stand) THEN
        v_state := 'REVERSING'; -- a late approval never revives what was cancelled or told so
    END IF;
    IF v_state = a.state AND payment.is_final(a.state) THEN
        -- recorded before, and the commit's answer was lost
        RETURN ROW(a.processor_id IS NOT DISTINCT FROM coalesce(p_processor_id, a.processor_id),
                   a.state, a.epoch, a.cancel_requested, false)::payment.attempt_recorded;
    END IF;
    IF a.holder <> p_holder OR a.epoch <> p_epoch OR payment.is_final(a.state) THEN
        RETURN ROW(false, a.state, a.epoch, a.cancel_requested, false)::payment.attempt_recorded;
    END IF;
    IF p_processor_id IS DISTINCT FROM a.processor_id THEN
        PERFORM 1 FROM payment.attempt t
          WHERE t.processor = a.processor AND t.account = a.account
            AND t.processor_id = p_processor_id AND t.ref <> p_ref;
        v_id_taken := FOUND;
    END IF;
    IF v_id_taken THEN
        -- this transaction is another attempt's: it proves nothing about ours
        v_state := CASE a.state WHEN 'SENDING' THEN 'UNKNOWN' WHEN 'NOT_CHARGED' THEN a.state
                                ELSE 'REVIEW' END;
        p_processor_id := NULL;
        p_authorisation_code := NULL;
        p_approved_minor := NULL;
        p_reason := NULL;
        p_batch := NULL;
    END IF;
    v_moved := v_state <> a.state;
    IF v_moved THEN
        v_end := payment.event_insert(a.payment, p_ref, a.kind, a.state, v_state, p_actor,
                                      concat_ws(' ', p_reason, p_raw_code,
                                                CASE WHEN v_id_taken
                                                     THEN 'the processor named another attempt' END));
    END IF;

    UPDATE payment.attempt t
       SET state = v_state,
           event_number = coalesce(v_end.number, t.event_number),
           event_hash = coalesce(v_end.hash, t.event_hash),
           closed_at = coalesce(t.closed_at, v_now),
           horizon_at = coalesce(v_now + p_horizon_ms * interval '1 millisecond', t.horizon_at),
           next_try_at = CASE
               WHEN payment.is_final(v_state) THEN NULL
               WHEN v_state = 'REVERSING' AND v_moved THEN v_now
               WHEN v_state = 'NOT_CHARGED' THEN v_now + p_next_try_ms * interval '1 millisecond'
               ELSE v_now + coalesce(p_next_try_ms, 60000) * interval '1 millisecond' END,
           claimed_at = NULL,
           tries = CASE WHEN v_moved THEN 0 ELSE t.tries + 1 END,
           absent_at = NULL, -- what is recorded here was not a 'not found': see attempt_absent
           processor_id = coalesce(p_processor_id, t.processor_id),
           authorisation_code = coalesce(p_authorisation_code, t.authorisation_code),
           approved_minor = coalesce(p_approved_minor, t.approved_minor,
                                     CASE WHEN p_state = 'APPROVED' AND NOT v_id_taken
                                          THEN t.amount_minor END),
           reason = CASE v_state WHEN 'APPROVED' THEN p_reason ELSE coalesce(p_reason, t.reason) END,
           raw_code = coalesce(p_raw_code, t.raw_code),
           raw_message = coalesce(p_raw_message, t.raw_message),
           request_id = coalesce(p_request_id, t.request_id),
           avs = coalesce(p_avs, t.avs),
           csc = coalesce(p_csc, t.csc),
           batch = coalesce(p_batch, t.batch)
     WHERE t.ref = p_ref;
    IF v_moved THEN
        IF v_state IN ('APPROVED', 'REVERSED') THEN
            PERFORM books.attempt_done(p_ref);
        END IF;
        IF a.state = 'NOT_CHARGED' AND v_state = 'APPROVED' THEN
            -- told as not done, so it may have been done once more since: a person compares
            PERFORM audit.append('resolver', 'payment.found_late', a.payment,
                                 jsonb_build_object('attempt', p_ref, 'kind', a.kind, 'amount_minor',
                                                    coalesce(p_approved_minor, a.amount_minor)));
        END IF;
    END IF;
    RETURN ROW(true, v_state, a.epoch, a.cancel_requested, v_id_taken)::payment.attempt_recorded;
END
$$;

-- An unclear void, held by this resolver, is about to be sent once more under its own reference,
-- which by the original's id is harmless: the horizon begins anew. False when fenced.
CREATE FUNCTION payment.void_repeat(p_ref text, p_holder text, p_epoch integer, p_horizon_ms bigint)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_lives boolean := payment.holder_lives(p_holder);
    a payment.attempt;
BEGIN
    PERFORM 1 FROM payment.attempt t
      WHERE t.payment = (SELECT c.payment FROM payment.attempt c WHERE c.ref = p_ref)
        AND t.kind IN ('SALE', 'AUTH') FOR NO KEY UPDATE;
    UPDATE payment.attempt t
       SET horizon_at = clock_timestamp() + p_horizon_ms * interval '1 millisecond',
           seen_boot = NULL, absent_at = NULL
     WHERE t.ref = p_ref AND t.holder = p_holder AND t.epoch = p_epoch AND v_lives
       AND t.kind = 'VOID' AND t.state IN ('UNKNOWN', 'REVIEW')
    RETURNING t.* INTO a;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM payment.event_append(a.payment, p_ref, a.kind, a.state, a.state, 'resolver',
                                 'sent again');
    RETURN true;
END
$$;

GRANT EXECUTE ON FUNCTION
    payment.void_repeat(text, text, integer, bigint),
    payment.attempt_begin(text, text, text, text, text, text, text, text, bigint, text),
    payment.reversal_begin(text, text, text, integer, text, bigint),
    payment.attempt_result(text, text, integer, text, text, text, bigint, text, text, text, text,
                           text, text, text, bigint, bigint, text)
    TO kometpay_gatewayd;
