-- A sale's beginning: the intent, committed before anything is sent. Must never leave a row of a
-- refused request, nor let a second request with the same key be sent.
-- Locks, in this order: the instance (shared, advisory), the key (unique index), the invoices by
-- number, the audit head (a cancellation only).
SET LOCAL ROLE kometpay_owner;

-- True while this instance may act. Holds instance_end back until our transaction ends, so that no
-- row can appear for an instance after its work was taken over.
CREATE FUNCTION payment.holder_lives(p_holder text) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(p_holder, 1));
    PERFORM 1 FROM payment.instance i WHERE i.id = p_holder AND i.ended_at IS NULL;
    RETURN FOUND;
END
$$;

CREATE TYPE payment.refusal AS (code text, field text, sentence text);

CREATE FUNCTION payment.refusal_of(p_code text, p_field text, p_sentence text)
RETURNS payment.refusal
LANGUAGE sql IMMUTABLE
RETURN ROW(p_code, p_field, p_sentence)::payment.refusal;

CREATE TYPE payment.sale_begun AS (
    outcome text, -- MINE EXISTS CONFLICT REFUSED
    code text,
    field text,
    sentence text,
    processor text,
    account text,
    ref text,
    payment text
);

-- What other payments than p_payment have to do with an invoice: one of them isn't finished yet;
-- how much is held for authorisations that may still be captured. The caller has the invoice locked.
CREATE FUNCTION payment.invoice_held(p_invoice text, p_payment text)
RETURNS TABLE (in_progress boolean, held_minor bigint)
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(bool_or(a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW')), false),
           coalesce(sum(ip.amount_minor) FILTER (WHERE a.kind = 'AUTH' AND a.state = 'APPROVED'
               AND NOT EXISTS (SELECT 1 FROM payment.follow_up f
                                WHERE f.payment = a.payment AND f.kind IN ('CAPTURE', 'VOID')
                                  AND f.state = 'APPROVED')),
                    0)::bigint
      FROM payment.invoice_part ip
      JOIN payment.attempt a ON a.payment = ip.payment
     WHERE ip.invoice = p_invoice AND ip.payment <> p_payment
       -- the two conditions of the indexes by payment, then what is meant
       AND (a.kind IN ('SALE', 'AUTH') OR a.kind IN ('CAPTURE', 'VOID', 'REFUND'))
       AND a.kind IN ('SALE', 'AUTH', 'CAPTURE')
$$;

CREATE TYPE payment.split_check AS (customer text, code text, field text, sentence text);

-- Why this split can't be paid (code NULL: it can). Locks the invoices. `p_customer` is '' for none; then the
-- customer of the first invoice is taken and given back.
CREATE FUNCTION payment.split_refusal(p_payment text, p_invoices jsonb, p_amount_minor bigint,
                                      p_currency text, p_customer text)
RETURNS payment.split_check
LANGUAGE plpgsql
AS $$
DECLARE
    v_customer text := p_customer;
    v_refusal payment.refusal;
    v_sum bigint;
    v_repeated text;
    v_part record;
BEGIN
    SELECT sum(e.amount_minor), min(e.invoice) FILTER (WHERE e.copies > 1)
      INTO v_sum, v_repeated
      FROM (SELECT x.invoice, x.amount_minor, count(*) OVER (PARTITION BY x.invoice) AS copies
              FROM jsonb_to_recordset(p_invoices) AS x (invoice text, amount_minor bigint)) AS e;
    IF v_repeated IS NOT NULL THEN
        RETURN ROW('', 'invoice_repeated', 'invoices',
                   format('Invoice %s is named twice.', v_repeated))::payment.split_check;
    ELSIF v_sum IS DISTINCT FROM p_amount_minor THEN
        RETURN ROW('', 'split_mismatch', 'invoices',
                   'The amounts of the invoices do not add up to the payment.')
               ::payment.split_check;
    END IF;
    PERFORM 1 FROM books.invoice i
      WHERE i.invoice IN (SELECT x.value ->> 'invoice' FROM jsonb_array_elements(p_invoices) AS x)
      ORDER BY i.invoice FOR NO KEY UPDATE;
    FOR v_part IN
        SELECT x.position - 1 AS place, x.part ->> 'invoice' AS invoice,
               (x.part ->> 'amount_minor')::bigint AS amount_minor, i.customer, i.currency,
               i.open_minor, i.invoice IS NOT NULL AS known,
               h.in_progress, h.held_minor
          FROM jsonb_array_elements(p_invoices) WITH ORDINALITY AS x (part, position)
          LEFT JOIN books.invoice i ON i.invoice = x.part ->> 'invoice'
         CROSS JOIN LATERAL payment.invoice_held(x.part ->> 'invoice', p_payment) AS h
         ORDER BY x.position
    LOOP
        v_customer := coalesce(nullif(v_customer, ''), v_part.customer, '');
        v_refusal := CASE
            WHEN NOT v_part.known THEN
                payment.refusal_of('invoice_unknown', format('invoices[%s].invoice', v_part.place),
                    format('Invoice %s is not known.', v_part.invoice))
            WHEN v_part.customer <> v_customer THEN
                payment.refusal_of('invoice_of_other_customer', format('invoices[%s].invoice', v_part.place),
                    format('Invoice %s belongs to another customer.', v_part.invoice))
            WHEN v_part.currency <> p_currency THEN
                payment.refusal_of('currency_mismatch', format('invoices[%s].invoice', v_part.place),
                    format('Invoice %s is in %s.', v_part.invoice, v_part.currency))
            WHEN v_part.in_progress THEN
                payment.refusal_of('invoice_payment_in_progress', format('invoices[%s].invoice', v_part.place),
                    format('Another payment of invoice %s is not finished yet.', v_part.invoice))
            WHEN v_part.open_minor = 0 THEN
                payment.refusal_of('invoice_closed', format('invoices[%s].invoice', v_part.place),
                    format('Invoice %s is paid already.', v_part.invoice))
            WHEN v_part.amount_minor > v_part.open_minor THEN
                payment.refusal_of('amount_above_open', format('invoices[%s].amount_minor', v_part.place),
                    format('Less than that is open on invoice %s.', v_part.invoice))
            WHEN v_part.amount_minor > v_part.open_minor - v_part.held_minor THEN
                payment.refusal_of('amount_above_open', format('invoices[%s].amount_minor', v_part.place),
                    format('An authorisation holds a part of invoice %s: capture or void it first.',
                           v_part.invoice))
        END;
        IF v_refusal.code IS NOT NULL THEN
            RETURN ROW(v_customer, v_refusal.code, v_refusal.field, v_refusal.sentence)
                   ::payment.split_check;
        END IF;
    END LOOP;
    RETURN ROW(v_customer, NULL, NULL, NULL)::payment.split_check;
END
$$;

-- Keys that were cancelled before their sale was begun: a sale that comes late is refused.
CREATE TABLE payment.cancelled_key (
    scope text NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE TRIGGER cancelled_key_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.cancelled_key
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- An amount over the customer's open invoices, the oldest first; NULL when less than that is open.
-- Locks those invoices by number; one that appears meanwhile waits for the next payment.
CREATE FUNCTION payment.oldest_first(p_customer text, p_amount_minor bigint, p_currency text)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    v_locked text[];
    v_parts jsonb;
    v_sum bigint;
BEGIN
    SELECT array_agg(l.invoice) INTO v_locked
      FROM (SELECT i.invoice FROM books.invoice i
             WHERE i.customer = p_customer AND i.currency = p_currency AND i.open_minor > 0
             ORDER BY i.invoice FOR NO KEY UPDATE) AS l;
    SELECT jsonb_agg(jsonb_build_object('invoice', p.invoice, 'amount_minor', p.amount_minor)
                     ORDER BY p.place), sum(p.amount_minor)
      INTO v_parts, v_sum
      FROM (SELECT o.invoice, o.place,
                   least(o.open_minor, p_amount_minor - o.before_minor)::bigint AS amount_minor
              FROM (SELECT i.invoice, f.open_minor, row_number() OVER w AS place,
                           sum(f.open_minor) OVER w - f.open_minor AS before_minor
                      FROM books.invoice i
                     CROSS JOIN LATERAL payment.invoice_held(i.invoice, '') AS h
                     -- what authorisations hold is not to be paid once more
                     CROSS JOIN LATERAL (SELECT i.open_minor - h.held_minor AS open_minor) AS f
                     WHERE i.invoice = ANY (v_locked) AND f.open_minor > 0
                    WINDOW w AS (ORDER BY i.invoice_date, i.due_date, i.invoice)) AS o
             WHERE o.before_minor < p_amount_minor) AS p;
    RETURN CASE WHEN v_sum = p_amount_minor THEN v_parts END;
END
$$;

-- Takes the key, then checks, then writes payment, split and first event. p_credentials: the accounts
-- that the caller has keys for (NULL: all). Asked again by the same ref and holder while nothing else
-- has happened: MINE again.
CREATE FUNCTION payment.sale_begin(
    p_payment text, p_ref text, p_holder text, p_scope text, p_key text, p_fingerprint text,
    p_location text, p_pos text, p_kind text, p_amount_minor bigint, p_currency text,
    p_customer text, p_invoices jsonb, p_card_ref text, p_card_token text, p_brand text,
    p_last_four text, p_expiry text, p_entry text, p_description text, p_actor text,
    p_oldest_first boolean DEFAULT false, p_credentials text[] DEFAULT NULL) RETURNS payment.sale_begun
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_lives boolean := payment.holder_lives(p_holder);
    v_customer text := coalesce(p_customer, '');
    v_invoices jsonb := coalesce(p_invoices, '[]');
    v_place books.location;
    v_refusal payment.refusal;
    v_check payment.split_check;
    v_found payment.attempt;
    v_hash bytea;
BEGIN
    SELECT * INTO v_place FROM books.location l WHERE l.code = p_location;
    INSERT INTO payment.attempt (ref, payment, kind, scope, key, fingerprint, amount_minor, currency,
                                 state, holder, processor, account, created_at)
    VALUES (p_ref, p_payment, p_kind, p_scope, p_key, p_fingerprint, p_amount_minor, p_currency,
            'SENDING', p_holder, coalesce(v_place.processor, ''), coalesce(v_place.account, ''),
            v_now)
    ON CONFLICT (scope, key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO STRICT v_found FROM payment.attempt a
          WHERE a.scope = p_scope AND a.key = p_key;
        RETURN ROW(CASE
            WHEN v_found.fingerprint <> p_fingerprint THEN 'CONFLICT'
            WHEN v_found.ref = p_ref AND v_found.holder = p_holder AND v_found.epoch = 1
                 AND v_found.state = 'SENDING' AND v_lives THEN 'MINE'
            ELSE 'EXISTS'
        END, NULL, NULL, NULL, v_found.processor, v_found.account, v_found.ref, v_found.payment)
        ::payment.sale_begun;
    END IF;

    IF NOT v_lives THEN
        v_refusal := payment.refusal_of('instance_ended', '', 'This gateway instance was replaced by another.');
    ELSIF EXISTS (SELECT 1 FROM payment.cancelled_key c
                   WHERE c.scope = p_scope AND c.key = p_key) THEN
        v_refusal := payment.refusal_of('cancelled', 'key',
                         'This payment was cancelled before it was begun. The card was not charged.');
    ELSIF v_place.code IS NULL THEN
        v_refusal := payment.refusal_of('location_unknown', 'location',
                         format('Location %s is not known.', p_location));
    ELSIF NOT v_place.enabled THEN
        v_refusal := payment.refusal_of('location_disabled', 'location',
                         format('Location %s takes no payments.', p_location));
    ELSIF NOT v_place.processor || '-' || v_place.account = ANY (p_credentials) THEN
        v_refusal := payment.refusal_of('credential_missing', 'location',
                         format('The merchant account of location %s is not ready for payments.',
                                p_location));
    ELSIF v_place.currency <> p_currency THEN
        v_refusal := payment.refusal_of('currency_mismatch', 'currency',
                         format('Location %s takes %s.', p_location, v_place.currency));
    ELSE
        IF v_customer <> '' THEN
            PERFORM 1 FROM books.customer c WHERE c.customer = v_customer;
            IF NOT FOUND THEN
                v_refusal := payment.refusal_of('customer_unknown', 'customer',
                                 format('Customer %s is not known.', v_customer));
            END IF;
        END IF;
        IF p_oldest_first AND v_refusal.code IS NULL THEN
            v_invoices := payment.oldest_first(v_customer, p_amount_minor, p_currency);
            IF v_invoices IS NULL THEN
                v_refusal := payment.refusal_of('amount_above_open', 'amount_minor',
                                 format('Less than that is open of customer %s.', v_customer));
            END IF;
        END IF;
        IF jsonb_array_length(v_invoices) > 0 AND v_refusal.code IS NULL THEN
            v_check := payment.split_refusal(p_payment, v_invoices, p_amount_minor, p_currency,
                                             v_customer);
            v_customer := v_check.customer;
            v_refusal := payment.refusal_of(v_check.code,
                CASE WHEN p_oldest_first THEN 'oldest_first' ELSE v_check.field END,
                v_check.sentence);
        END IF;
    END IF;
    IF v_refusal.code IS NOT NULL THEN
        DELETE FROM payment.attempt a WHERE a.ref = p_ref;
        RETURN ROW('REFUSED', v_refusal.code, v_refusal.field, v_refusal.sentence, NULL, NULL,
                   p_ref, p_payment)::payment.sale_begun;
    END IF;

    v_hash := sha256(convert_to(p_payment, 'UTF8'));
    WITH new_payment AS (
        INSERT INTO payment.payment (id, location, customer, kind, amount_minor, currency, entry,
                                     card_ref, card_token, brand, last_four, expiry, description,
                                     pos, created_at)
        VALUES (p_payment, p_location, nullif(v_customer, ''), p_kind, p_amount_minor, p_currency,
                p_entry, p_card_ref, p_card_token, p_brand, p_last_four, p_expiry, p_description,
                coalesce(p_pos, ''), v_now)
    )
    INSERT INTO payment.event (payment, number, attempt, at, kind, from_state, to_state, actor, note,
                               previous_hash, hash)
    VALUES (p_payment, 1, p_ref, v_now, p_kind, '', 'SENDING', p_actor, '', v_hash,
            payment.event_hash(v_hash, p_payment, 1, p_ref, v_now, p_kind, '', 'SENDING', p_actor,
                               ''));
    IF jsonb_array_length(v_invoices) > 0 THEN
        INSERT INTO payment.invoice_part (payment, invoice, amount_minor, position)
        SELECT p_payment, x.part ->> 'invoice', (x.part ->> 'amount_minor')::bigint, x.position
          FROM jsonb_array_elements(v_invoices) WITH ORDINALITY AS x (part, position);
    END IF;
    RETURN ROW('MINE', NULL, NULL, NULL, v_place.processor, v_place.account, p_ref, p_payment)
           ::payment.sale_begun;
END
$$;

-- The processor and account that serve a location; no row if it is unknown.
CREATE FUNCTION payment.location_processor(p_location text)
RETURNS TABLE (processor text, account text, currency text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.processor, l.account, l.currency FROM books.location l WHERE l.code = p_location
$$;

-- What a POS is told of an attempt.
CREATE TYPE payment.told AS (
    outcome text, -- APPROVED DECLINED NOT_CHARGED PENDING REVIEW; of a cancellation CANCEL_ACCEPTED
    payment text,
    ref text,
    kind text,
    state text,
    amount_minor bigint,
    currency text,
    authorisation_code text,
    brand text,
    last_four text,
    card_token text,
    reason text,
    sentence text,
    voided boolean,
    captured_minor bigint,
    refunded_minor bigint
);

-- The one place where states become answers; the first answer and each repeated one are its.
CREATE FUNCTION payment.told_of(a payment.attempt) RETURNS payment.told
LANGUAGE plpgsql
AS $$
DECLARE
    p payment.payment;
    s payment.attempt := a;
    v_voided boolean;
    v_captured bigint;
    v_refunded bigint;
    v_outcome text;
BEGIN
    SELECT t.* INTO STRICT p FROM payment.payment t WHERE t.id = a.payment;
    SELECT coalesce(bool_or(f.kind = 'VOID'), false),
           coalesce(sum(f.approved_minor) FILTER (WHERE f.kind = 'CAPTURE'), 0),
           coalesce(sum(f.approved_minor) FILTER (WHERE f.kind = 'REFUND'), 0)
      INTO v_voided, v_captured, v_refunded
      FROM payment.attempt f
     WHERE f.payment = a.payment AND f.kind IN ('CAPTURE', 'VOID', 'REFUND')
       AND f.parent IS NULL AND f.state = 'APPROVED';
    IF a.kind NOT IN ('SALE', 'AUTH') THEN
        SELECT t.* INTO STRICT s FROM payment.attempt t
          WHERE t.payment = a.payment AND t.kind IN ('SALE', 'AUTH');
    END IF;
    IF s.kind = 'SALE' AND s.state = 'APPROVED' THEN
        v_captured := s.approved_minor;
    END IF;
    v_outcome := CASE
        WHEN a.state IN ('APPROVED', 'DECLINED', 'REVIEW') THEN a.state
        WHEN a.state IN ('SENDING', 'UNKNOWN', 'REVERSING') THEN 'PENDING'
        ELSE 'NOT_CHARGED'
    END;
    RETURN ROW(
        v_outcome, a.payment, a.ref, a.kind, a.state, coalesce(a.approved_minor, a.amount_minor),
        a.currency,
        CASE WHEN a.kind = 'REFUND' AND a.state = 'APPROVED'
             THEN concat_ws(' ', 'Refund', coalesce(nullif(a.authorisation_code, ''),
                                                    s.authorisation_code))
             ELSE a.authorisation_code END,
        p.brand, p.last_four,
        coalesce(p.card_token, (SELECT v.token FROM vault.saved v WHERE v.attempt = s.ref)),
        a.reason,
        payment.sentence_of(v_outcome, a.kind, a.cancel_requested),
        v_voided, v_captured, v_refunded)::payment.told;
END
$$;

-- A key that was cancelled before its sale was begun.
CREATE FUNCTION payment.told_cancelled(p_outcome text) RETURNS payment.told
LANGUAGE sql IMMUTABLE
RETURN ROW(p_outcome, NULL, NULL, 'SALE', NULL, 0::bigint, NULL, NULL, NULL, NULL, NULL, NULL,
           'Cancelled before it was begun. The card was not charged.', false, 0::bigint, 0::bigint)
       ::payment.told;

-- By key, or by payment (its sale; p_location, unless empty, must be the payment's). No row: it is
-- not known, or not yet: a sale that is being committed is not seen.
CREATE FUNCTION payment.answer(p_scope text, p_key text, p_payment text, p_location text)
RETURNS SETOF payment.told
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a payment.attempt;
BEGIN
    IF coalesce(p_key, '') <> '' THEN
        SELECT t.* INTO a FROM payment.attempt t WHERE t.scope = p_scope AND t.key = p_key;
    ELSE
        SELECT t.* INTO a FROM payment.attempt t
          WHERE t.payment = p_payment AND t.kind IN ('SALE', 'AUTH');
        IF FOUND AND coalesce(p_location, '') NOT IN
               ('', (SELECT p.location FROM payment.payment p WHERE p.id = p_payment)) THEN
            PERFORM audit.refuse('payment_of_other_location', 'location',
                                 'This payment was taken at another location.');
        END IF;
    END IF;
    IF a.ref IS NOT NULL THEN
        RETURN NEXT payment.told_of(a);
    ELSIF EXISTS (SELECT 1 FROM payment.cancelled_key c WHERE c.scope = p_scope AND c.key = p_key) THEN
        RETURN NEXT payment.told_cancelled('NOT_CHARGED');
    END IF;
END
$$;

-- By reference, in the same statement as the result that it tells.
CREATE FUNCTION payment.answer_of(p_ref text) RETURNS SETOF payment.told
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a payment.attempt;
BEGIN
    SELECT t.* INTO a FROM payment.attempt t WHERE t.ref = p_ref;
    IF FOUND THEN
        RETURN NEXT payment.told_of(a);
    END IF;
END
$$;

-- Flags a payment whose outcome isn't known yet; one way. Locks its attempt (or its key), then the
-- audit head. Without a payment the key itself is cancelled, so that a sale on its way is refused.
CREATE FUNCTION payment.cancel_request(p_scope text, p_key text, p_actor text)
RETURNS SETOF payment.told
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a payment.attempt;
    v_told payment.told;
BEGIN
    IF payment.key_cancel(p_scope, p_key, p_actor) THEN
        RETURN NEXT payment.told_cancelled('CANCEL_ACCEPTED');
        RETURN;
    END IF;
    SELECT t.* INTO STRICT a FROM payment.attempt t WHERE t.scope = p_scope AND t.key = p_key
       FOR NO KEY UPDATE;
    IF a.kind IN ('SALE', 'AUTH')
       AND a.state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW') THEN
        IF NOT a.cancel_requested THEN
            UPDATE payment.attempt t SET cancel_requested = true WHERE t.ref = a.ref;
            a.cancel_requested := true;
            PERFORM payment.event_append(a.payment, a.ref, a.kind, a.state, a.state, p_actor,
                                         'cancellation requested');
            PERFORM audit.append(p_actor, 'payment.cancel', a.payment);
        END IF;
        v_told := payment.told_of(a);
        v_told.outcome := 'CANCEL_ACCEPTED';
        v_told.sentence := payment.sentence_of('PENDING', a.kind, true);
        RETURN NEXT v_told;
    ELSE
        RETURN NEXT payment.told_of(a);
    END IF;
END
$$;

-- True: there is no attempt with this key, and none will be. A plain look would not see a sale
-- whose commit is under way; the unique key does, and waits for it.
CREATE FUNCTION payment.key_cancel(p_scope text, p_key text, p_actor text) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM payment.cancelled_key c WHERE c.scope = p_scope AND c.key = p_key) THEN
        RETURN true;
    END IF;
    INSERT INTO payment.attempt (ref, payment, kind, scope, key, fingerprint, amount_minor, currency,
                                 state, holder, processor, account, created_at)
    VALUES (upper(left(md5(p_scope || '/' || p_key), 26)), '', 'SALE', p_scope, p_key, '', 0, '',
            'SENDING', '', '', '', clock_timestamp())
    ON CONFLICT (scope, key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM payment.attempt a WHERE a.scope = p_scope AND a.key = p_key;
    INSERT INTO payment.cancelled_key (scope, key, at, actor)
    VALUES (p_scope, p_key, clock_timestamp(), p_actor)
    ON CONFLICT (scope, key) DO NOTHING;
    IF FOUND THEN
        PERFORM audit.append(p_actor, 'payment.cancel_key', p_scope || ' ' || p_key);
    END IF;
    RETURN true;
END
$$;

-- What a clerk reads.
CREATE FUNCTION payment.sentence_of(p_outcome text, p_kind text, p_cancelled boolean) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE p_outcome
    WHEN 'APPROVED' THEN
        CASE p_kind WHEN 'VOID' THEN 'The payment was voided.'
                    WHEN 'REFUND' THEN 'The refund was issued.'
                    WHEN 'CAPTURE' THEN 'The authorised payment was captured.'
                    WHEN 'AUTH' THEN 'Authorised. Capture it to be paid.'
                    ELSE 'Approved.' END
    WHEN 'DECLINED' THEN
        CASE WHEN p_kind IN ('SALE', 'AUTH') THEN 'Declined. The card was not charged.'
             ELSE 'The processor refused it. Nothing was changed.' END
    WHEN 'NOT_CHARGED' THEN
        CASE WHEN p_kind NOT IN ('SALE', 'AUTH') THEN 'It was not done. It may be tried again.'
             WHEN p_cancelled THEN 'Cancelled. The card was not charged.'
             ELSE 'The card was not charged. It may be tried again.' END
    WHEN 'REVIEW' THEN 'The outcome could not be found out. A person is looking at it.'
    ELSE
        CASE WHEN p_cancelled THEN 'It is being cancelled. Do not charge again; ask shortly.'
             ELSE 'The outcome is not known yet. Do not charge again; ask shortly.' END
END;

GRANT EXECUTE ON FUNCTION
    payment.sale_begin(text, text, text, text, text, text, text, text, text, bigint, text, text,
                       jsonb, text, text, text, text, text, text, text, text, boolean,
                       text[]),
    payment.location_processor(text),
    payment.cancel_request(text, text, text),
    payment.answer(text, text, text, text),
    payment.answer_of(text)
    TO kometpay_gatewayd;
