-- What an outcome does to the books, in the transaction that records it: applications to invoices,
-- journal rows, suspense. Called by payment.attempt_result only.
-- Locks: the invoices by number, after the payment's root attempt.
SET LOCAL ROLE kometpay_owner;

-- Money came in: by the split as far as the invoices are open; what is left is in suspense.
CREATE FUNCTION books.payment_apply(p_attempt payment.attempt, p_payment payment.payment)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_amount bigint := coalesce(p_attempt.approved_minor, p_attempt.amount_minor);
    v_applied bigint := 0;
    v_split boolean;
    v_now timestamptz := clock_timestamp();
BEGIN
    PERFORM 1 FROM books.invoice i
      WHERE i.invoice IN (SELECT ip.invoice FROM payment.invoice_part ip
                           WHERE ip.payment = p_payment.id)
      ORDER BY i.invoice FOR NO KEY UPDATE;
    v_split := FOUND;
    IF v_split THEN
        WITH wanted AS (
            -- in the given order, until what was approved is used up
            SELECT ip.invoice,
                   least(ip.amount_minor,
                         v_amount - (sum(ip.amount_minor) OVER (ORDER BY ip.position)
                                     - ip.amount_minor))::bigint AS amount_minor
              FROM payment.invoice_part ip WHERE ip.payment = p_payment.id
        ), fitting AS (
            SELECT w.invoice, least(w.amount_minor, i.open_minor) AS amount_minor
              FROM wanted w JOIN books.invoice i ON i.invoice = w.invoice
             WHERE w.amount_minor > 0 AND i.open_minor > 0
        ), reduced AS (
            UPDATE books.invoice i SET open_minor = i.open_minor - f.amount_minor
              FROM fitting f WHERE i.invoice = f.invoice
        ), applied AS (
            INSERT INTO books.application (attempt, invoice, payment, amount_minor, at)
            SELECT p_attempt.ref, f.invoice, p_payment.id, f.amount_minor, v_now FROM fitting f
            RETURNING application.amount_minor
        )
        SELECT coalesce(sum(a.amount_minor), 0) INTO v_applied FROM applied a;
    END IF;
    WITH left_over AS (
        INSERT INTO books.suspense (attempt, reason, payment, location, amount_minor, currency,
                                    since)
        SELECT p_attempt.ref, CASE WHEN v_split THEN 'OVERPAYMENT' ELSE 'VIRTUAL_TERMINAL' END,
               p_payment.id, p_payment.location, v_amount - v_applied, p_attempt.currency, v_now
         WHERE v_amount > v_applied
    )
    INSERT INTO books.journal (at, payment, attempt, location, debit, credit, amount_minor, currency)
    SELECT v_now, p_payment.id, p_attempt.ref, p_payment.location, 'card_clearing', l.credit,
           l.amount_minor, p_attempt.currency
      FROM (VALUES ('accounts_receivable', v_applied), ('suspense', v_amount - v_applied))
           AS l (credit, amount_minor)
     WHERE l.amount_minor > 0;
END
$$;

-- The payment was voided: its applications get their opposite, the invoices are open again.
CREATE FUNCTION books.payment_unapply(p_attempt payment.attempt, p_payment payment.payment)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_applied bigint;
    v_suspense bigint;
    v_now timestamptz := clock_timestamp();
BEGIN
    PERFORM 1 FROM books.invoice i
      WHERE i.invoice IN (SELECT a.invoice FROM books.application a
                           WHERE a.payment = p_payment.id)
      ORDER BY i.invoice FOR NO KEY UPDATE;
    WITH standing AS (
        SELECT a.invoice, sum(a.amount_minor)::bigint AS amount_minor
          FROM books.application a WHERE a.payment = p_payment.id
         GROUP BY a.invoice HAVING sum(a.amount_minor) > 0
    ), reopened AS (
        UPDATE books.invoice i SET open_minor = i.open_minor + s.amount_minor
          FROM standing s WHERE i.invoice = s.invoice
    ), undone AS (
        INSERT INTO books.application (attempt, invoice, payment, amount_minor, at)
        SELECT p_attempt.ref, s.invoice, p_payment.id, -s.amount_minor, v_now FROM standing s
        RETURNING -application.amount_minor AS amount_minor
    )
    SELECT coalesce(sum(u.amount_minor), 0) INTO v_applied FROM undone u;
    WITH cleared AS (
        UPDATE books.suspense s SET cleared_at = v_now, cleared_by = p_attempt.ref
         WHERE s.attempt IN (SELECT t.ref FROM payment.attempt t
                              WHERE t.payment = p_payment.id AND t.kind IN ('SALE', 'AUTH')
                              UNION ALL
                             SELECT t.ref FROM payment.follow_up t
                              WHERE t.payment = p_payment.id AND t.kind = 'CAPTURE')
           AND s.reason <> 'REFUND'
        RETURNING s.amount_minor
    )
    SELECT coalesce(sum(c.amount_minor), 0) INTO v_suspense FROM cleared c;
    INSERT INTO books.journal (at, payment, attempt, location, debit, credit, amount_minor, currency)
    SELECT v_now, p_payment.id, p_attempt.ref, p_payment.location, l.debit, 'card_clearing',
           l.amount_minor, p_attempt.currency
      FROM (VALUES ('accounts_receivable', v_applied), ('suspense', v_suspense))
           AS l (debit, amount_minor)
     WHERE l.amount_minor > 0;
END
$$;

-- Money went back: which invoices it concerns, a person says.
CREATE FUNCTION books.payment_refunded(p_attempt payment.attempt, p_payment payment.payment)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_amount bigint := coalesce(p_attempt.approved_minor, p_attempt.amount_minor);
    v_now timestamptz := clock_timestamp();
BEGIN
    INSERT INTO books.suspense (attempt, reason, payment, location, amount_minor, currency, since)
    VALUES (p_attempt.ref, 'REFUND', p_payment.id, p_payment.location, v_amount,
            p_attempt.currency, v_now);
    INSERT INTO books.journal (at, payment, attempt, location, debit, credit, amount_minor, currency)
    VALUES (v_now, p_payment.id, p_attempt.ref, p_payment.location, 'suspense', 'card_clearing',
            v_amount, p_attempt.currency);
END
$$;

-- The one door: an attempt has just become APPROVED or REVERSED.
CREATE FUNCTION books.attempt_done(p_ref text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    a payment.attempt;
    p payment.payment;
BEGIN
    SELECT t.* INTO STRICT a FROM payment.attempt t WHERE t.ref = p_ref;
    SELECT t.* INTO STRICT p FROM payment.payment t WHERE t.id = a.payment;
    IF a.parent IS NOT NULL THEN
        RETURN; -- a reversal takes back what never entered the books
    ELSIF a.state = 'REVERSED' OR a.kind = 'VOID' THEN
        PERFORM books.payment_unapply(a, p);
    ELSIF a.kind IN ('SALE', 'CAPTURE') THEN
        PERFORM books.payment_apply(a, p);
    ELSIF a.kind = 'REFUND' THEN
        PERFORM books.payment_refunded(a, p);
    END IF;
END
$$;
