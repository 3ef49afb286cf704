-- Captures, voids, refunds and reversals: their limits, their idempotence, what they do to the
-- books.
BEGIN;
SELECT test.open_business();
SELECT plan(82);

CREATE FUNCTION test.said(b payment.attempt_begun) RETURNS text LANGUAGE sql
RETURN concat_ws(' ', (b).outcome, (b).code);

-- refunds
SELECT test.approved(1, 1000, 'I-1=1000');
SELECT is(test.said(test.follow(2, 9, 'REFUND')), 'REFUSED payment_unknown', 'no such payment');
SELECT is((b).outcome || ' ' || (b).amount_minor || ' ' || (b).follows || ' ' || (b).last_four,
          'MINE 300 T1 1111', 'a part is refunded against the sale')
  FROM test.follow(3, 1, 'REFUND', 300) AS b;
SELECT is(test.said(test.follow(3, 1, 'REFUND', 300)), 'MINE', 'asked again after a lost commit');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 300, 'print-3', 'key-3')), 'EXISTS',
          'the same request by another ref');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 400, 'other', 'key-3')), 'CONFLICT',
          'another request with the same key');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 100)), 'REFUSED in_progress',
          'one at a time: SENDING');
SELECT test.result(3, 'UNKNOWN', horizon_ms => 1, next_try_ms => 1);
SELECT is(test.said(test.follow(4, 1, 'REFUND', 100)), 'REFUSED in_progress',
          'one at a time: UNKNOWN');
SELECT is(test.said(test.follow(4, 1, 'VOID')), 'REFUSED in_progress', 'nor a void meanwhile');
SELECT is((test.result(3, 'APPROVED')).state, 'APPROVED', 'found approved');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 701)), 'REFUSED amount_above_refundable',
          'never more than is left');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 0)), 'REFUSED already_refunded',
          'the whole payment can not go back any more');
SELECT is((b).sentence, 'A refund has already been issued for this payment.', 'in a clerk''s words')
  FROM test.follow(4, 1, 'REFUND', 0) AS b;
SELECT is(test.said(test.follow(4, 1, 'VOID')), 'REFUSED already_refunded',
          'what was refunded is not voided');
SELECT is(test.said(test.follow(4, 1, 'REFUND', 700)), 'MINE', 'the rest may go back');
SELECT test.result(4, 'DECLINED');
SELECT is(test.said(test.follow(5, 1, 'REFUND', 700)), 'MINE', 'a declined refund counts for nothing');
SELECT test.result(5, 'NOT_SENT');
SELECT is(test.said(test.follow(6, 1, 'REFUND', 700)), 'MINE', 'nor does one that was not sent');
SELECT test.result(6, 'APPROVED');
SELECT is(test.said(test.follow(7, 1, 'REFUND', 1)), 'REFUSED already_refunded', 'then nothing is left');
SELECT is((SELECT refunded_minor FROM payment.answer(NULL, NULL, 'pay_1', NULL)), 1000::bigint,
          'the answer tells what went back');
SELECT is((SELECT authorisation_code FROM payment.answer('MIA/counter1', 'key-6', NULL, NULL)),
          'Refund AUTH6', 'the word Refund stands before the code');
SELECT is(test.open('I-1'), '4000 PARTLY_PAID', 'a refund does not open the invoice by itself');
SELECT is((SELECT string_agg(amount_minor::text, ' ' ORDER BY amount_minor) FROM books.suspense
            WHERE payment = 'pay_1' AND reason = 'REFUND'), '300 700',
          'it waits to be reconciled by hand');
SELECT is((SELECT sum(CASE debit WHEN 'card_clearing' THEN amount_minor ELSE -amount_minor END)
             FROM books.journal WHERE payment = 'pay_1'), 0::numeric,
          'what came in has gone back');
SELECT test.sale(8, 100);
SELECT is(test.said(test.follow(9, 8, 'REFUND')), 'REFUSED payment_not_approved',
          'what was not approved is not refunded');

-- the key of a follow-up is of the payment's location, named or not
SELECT test.approved(50, 1000);
SELECT is(test.said(test.follow(51, 50, 'REFUND', 100, location => 'BOG')),
          'REFUSED payment_of_other_location', 'not from another location');
SELECT is(test.said(test.follow(51, 50, 'REFUND', 100, location => NULL)), 'MINE',
          'the location may be left out');
SELECT is(test.said(test.follow(52, 50, 'REFUND', 100, key => 'key-51', fingerprint => 'print-51')),
          'EXISTS', 'the same key with the location named is the same refund');
SELECT test.result(51, 'APPROVED');
SELECT is((SELECT refunded_minor FROM payment.answer(NULL, NULL, 'pay_50', 'MIA')), 100::bigint,
          'and moves the money once');
SELECT throws_ok($$SELECT * FROM payment.answer(NULL, NULL, 'pay_50', 'BOG')$$, 'KP001',
                 'This payment was taken at another location.', 'nor is it told elsewhere');

-- voids
SELECT test.approved(10, 1500, 'I-1=500,I-2=1000', 'C-1');
SELECT is(test.open('I-1') || ', ' || test.open('I-2'), '3500 PARTLY_PAID, 2000 PARTLY_PAID',
          'two invoices by one payment');
SELECT is((b).outcome || ' ' || (b).amount_minor || ' ' || (b).follows, 'MINE 1500 T10',
          'a void is of the whole')
  FROM test.follow(11, 10, 'VOID', 5) AS b;
SELECT test.result(11, 'APPROVED');
SELECT is(test.open('I-1') || ', ' || test.open('I-2'), '4000 PARTLY_PAID, 3000 OPEN',
          'a void opens all its invoices');
SELECT is((SELECT sum(amount_minor) FROM books.application WHERE payment = 'pay_10'), 0::numeric,
          'by rows that bring the sum to nothing');
SELECT is((SELECT sum(CASE debit WHEN 'card_clearing' THEN amount_minor ELSE -amount_minor END)
             FROM books.journal WHERE payment = 'pay_10'), 0::numeric, 'so does the journal');
SELECT is((test.result(11, 'APPROVED')).applied, true, 'told twice');
SELECT is(test.open('I-2'), '3000 OPEN', 'it counts once');
SELECT is(test.said(test.follow(12, 10, 'VOID')), 'REFUSED already_voided', 'a second void');
SELECT is(test.said(test.follow(12, 10, 'REFUND')), 'REFUSED already_voided',
          'nor a refund of a voided payment');
SELECT is((SELECT voided FROM payment.answer(NULL, NULL, 'pay_10', NULL)), true, 'the answer says voided');
SELECT test.approved(13, 900);
SELECT test.follow(14, 13, 'VOID');
SELECT test.result(14, 'APPROVED');
SELECT is((SELECT cleared_by FROM books.suspense WHERE payment = 'pay_13'), test.ref(14),
          'a void clears what waited to be reconciled');

-- authorisations
SELECT test.approved(20, 2000, 'I-3=2000', kind => 'AUTH');
SELECT is(test.open('I-3'), '2000 OPEN', 'an authorisation pays nothing yet');
SELECT is(test.said(test.follow(21, 20, 'REFUND')), 'REFUSED not_captured', 'nothing to refund');
SELECT is(test.said(test.follow(21, 1, 'CAPTURE')), 'REFUSED not_an_authorisation',
          'a sale is not captured');
SELECT is(test.said(test.follow(21, 20, 'CAPTURE', 2001)), 'REFUSED amount_above_authorised',
          'not more than was authorised');
SELECT is((b).outcome || ' ' || (b).follows, 'MINE T20', 'a part is captured')
  FROM test.follow(21, 20, 'CAPTURE', 1500) AS b;
SELECT test.result(21, 'APPROVED');
SELECT is(test.open('I-3'), '500 PARTLY_PAID', 'the capture pays');
SELECT is(test.said(test.follow(22, 20, 'CAPTURE', 500)), 'REFUSED already_captured', 'only once');
SELECT is(test.said(test.follow(22, 20, 'REFUND', 1501)), 'REFUSED amount_above_refundable',
          'a refund is limited by what was captured');
SELECT is((b).follows, 'T21', 'a refund follows the capture')
  FROM test.follow(22, 20, 'REFUND', 100) AS b;
SELECT test.result(22, 'DECLINED');
SELECT is((b).outcome || ' ' || (b).amount_minor || ' ' || (b).follows, 'MINE 1500 T21',
          'a void of what was captured follows the capture')
  FROM test.follow(23, 20, 'VOID') AS b;
SELECT test.result(23, 'APPROVED');
SELECT is(test.open('I-3'), '2000 OPEN', 'and opens the invoice');
-- should the invoice be paid past the authorisation's hold all the same, no cent is lost
SELECT test.approved(24, 2000, 'I-3=2000', kind => 'AUTH');
SELECT test.force(24, $$state = 'DECLINED'$$);
SELECT test.approved(25, 1800, 'I-3=1800');
SELECT test.force(24, $$state = 'APPROVED'$$);
SELECT test.follow(26, 24, 'CAPTURE');
SELECT is((test.result(26, 'APPROVED')).state, 'APPROVED', 'the capture stands');
SELECT is(test.open('I-3'), '0 PAID', 'it pays what is still open');
SELECT is((SELECT reason || ' ' || amount_minor FROM books.suspense WHERE attempt = test.ref(26)),
          'OVERPAYMENT 1800', 'the rest is an overpayment to reconcile by hand');

-- reversals
SELECT test.sale(30, 400);
SELECT payment.cancel_request('MIA/counter1', 'key-30', 'clerk');
SELECT test.result(30, 'APPROVED', next_try_ms => 0);
SELECT is(test.said(payment.reversal_begin(test.ref(31), 'gw-1', test.ref(30), 2, NULL, NULL)),
          'REFUSED fenced', 'only the resolver that holds it reverses');
SELECT is((SELECT epoch FROM payment.due('gw-1', 10, 1000, 1) WHERE ref = test.ref(30)), 2,
          'the resolver claims it');
SELECT is((b).outcome || ' ' || (b).kind || ' ' || (b).follows || ' ' || (b).amount_minor,
          'MINE VOID T30 400', 'first a void')
  FROM payment.reversal_begin(test.ref(31), 'gw-1', test.ref(30), 2, NULL, NULL) AS b;
SELECT is((SELECT scope || ' ' || key FROM payment.attempt WHERE ref = test.ref(31)),
          'reversal ' || test.ref(30) || ':1', 'under a key of its own');
SELECT is(test.said(payment.reversal_begin(test.ref(31), 'gw-1', test.ref(30), 2, NULL, NULL)), 'MINE',
          'asked again after a lost commit');
SELECT is(test.said(payment.reversal_begin(test.ref(32), 'gw-1', test.ref(30), 2, NULL, NULL)), 'WAIT',
          'never two under way');
SELECT test.result(31, 'DECLINED');
SELECT is((b).outcome || ' ' || (b).kind, 'MINE REFUND', 'refused to void: a refund')
  FROM payment.reversal_begin(test.ref(32), 'gw-1', test.ref(30), 2, NULL, NULL) AS b;
SELECT test.result(32, 'APPROVED');
SELECT is(test.said(payment.reversal_begin(test.ref(33), 'gw-1', test.ref(30), 2, NULL, NULL)), 'DONE',
          'once approved it is done');
SELECT is((test.result(30, 'REVERSED', 2)).state, 'REVERSED', 'and the payment is reversed');
SELECT is_empty($$SELECT * FROM books.journal WHERE payment = 'pay_30'$$,
                'what was reversed never was in the books');
SELECT is((SELECT outcome || ' ' || voided || ' ' || refunded_minor
             FROM payment.answer(NULL, NULL, 'pay_30', NULL)), 'NOT_CHARGED false 0',
          'the POS hears that nothing was charged');

-- a refund told as not done, done once more since, and found late: listed for a person
SELECT test.approved(60, 500);
SELECT test.follow(61, 60, 'REFUND');
SELECT test.result(61, 'UNKNOWN', next_try_ms => 1000, horizon_ms => 0);
SELECT test.result(61, 'NOT_CHARGED', next_try_ms => 1000);
SELECT is(test.said(test.follow(62, 60, 'REFUND')), 'MINE', 'told as not done: tried again');
SELECT test.result(62, 'APPROVED');
SELECT is((test.result(61, 'APPROVED')).state, 'APPROVED', 'the first was done after all');
SELECT is((SELECT object || ' ' || (detail ->> 'attempt') || ' ' || (detail ->> 'amount_minor')
             FROM audit.log WHERE act = 'payment.found_late'),
          'pay_60 ' || test.ref(61) || ' 500', 'more went back than came in: it is listed');
-- a reversal in a closed batch: the processor does not void, so it is refunded
SELECT test.sale(40, 400);
SELECT payment.cancel_request('MIA/counter1', 'key-40', 'clerk');
SELECT test.result(40, 'APPROVED');
SELECT is((SELECT epoch FROM payment.due('gw-1', 10, 1000, 1) WHERE ref = test.ref(40)), 2,
          'a cancelled approval is due at once');
SELECT is((b).kind, 'VOID', 'first a void')
  FROM payment.reversal_begin(test.ref(41), 'gw-1', test.ref(40), 2, NULL, NULL) AS b;
SELECT test.result(41, 'REFUSED');
SELECT is((b).outcome || ' ' || (b).kind, 'MINE REFUND', 'refused: the batch is closed, a refund')
  FROM payment.reversal_begin(test.ref(42), 'gw-1', test.ref(40), 2, NULL, NULL) AS b;
SELECT test.result(42, 'NOT_SENT');
SELECT is((b).outcome || ' ' || (b).kind, 'MINE REFUND', 'not sent: the same again')
  FROM payment.reversal_begin(test.ref(43), 'gw-1', test.ref(40), 2, NULL, NULL) AS b;
SELECT test.result(43, 'APPROVED');
SELECT is((b).outcome || ' ' || (b).kind, 'DONE REFUND', 'done, and by what')
  FROM payment.reversal_begin(test.ref(44), 'gw-1', test.ref(40), 2, NULL, NULL) AS b;
SELECT is((b).amount_minor || ' ' || (b).follows, '990 T99', 'another charge, by its own amount')
  FROM payment.reversal_begin(test.ref(49), 'gw-1', test.ref(40), 2, 'T99', 990) AS b;
-- a key that was refused says nothing of the batch; what was reversed already is not refunded too
SELECT test.sale(45, 400);
SELECT payment.cancel_request('MIA/counter1', 'key-45', 'clerk');
SELECT test.result(45, 'APPROVED');
SELECT payment.due('gw-1', 10, 1000, 1);
SELECT (payment.reversal_begin(test.ref(46), 'gw-1', test.ref(45), 2, NULL, NULL)).kind;
SELECT test.result(46, 'REFUSED', reason => 'KEY');
SELECT is((b).kind, 'VOID', 'a wrong key: void again')
  FROM payment.reversal_begin(test.ref(47), 'gw-1', test.ref(45), 2, NULL, NULL) AS b;
SELECT test.result(47, 'REFUSED', reason => 'ALREADY_REVERSED');
SELECT is((b).kind, 'VOID', 'reversed already: never a refund on top')
  FROM payment.reversal_begin(test.ref(48), 'gw-1', test.ref(45), 2, NULL, NULL) AS b;

SELECT is(test.said(payment.reversal_begin(test.ref(34), 'gw-1', test.ref(1), 1, NULL, NULL)),
          'REFUSED not_reversing', 'an approved payment is not reversed');
SELECT is(test.said(payment.reversal_begin(test.ref(34), 'gw-1', test.ref(99), 1, NULL, NULL)),
          'REFUSED payment_unknown', 'nor one that is unknown');
SELECT results_eq($$SELECT act, count(*) FROM audit.log GROUP BY act ORDER BY act$$,
                  $$VALUES ('payment.cancel', 3::bigint), ('payment.found_late', 1),
                           ('payment.refund', 8::bigint),
                           ('payment.void', 3::bigint)$$,
                  'every act asked for by a person is audited, no reversal is');
SELECT is_empty('SELECT * FROM payment.event_verify()', 'all stories are whole');
SELECT is((SELECT sum(debit_minor) - sum(credit_minor) FROM books.journal_line), 0::numeric,
          'the journal is balanced');
SELECT is((SELECT sum(open_minor) FROM books.invoice),
          (SELECT sum(amount_minor) FROM books.invoice) - 2000
          - (SELECT sum(amount_minor) FROM books.application),
          'open amounts and applications agree');
SELECT is_empty($$SELECT e.payment FROM payment.event e LEFT JOIN payment.attempt a
                      ON a.ref = e.attempt WHERE a.ref IS NULL$$, 'no event of a refused attempt');
SELECT * FROM finish();
ROLLBACK;
