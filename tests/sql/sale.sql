-- A sale's beginning: each outcome, and that a refused request leaves nothing.
BEGIN;
SELECT test.open_business();
SELECT plan(76);

CREATE FUNCTION test.refused(b payment.sale_begun) RETURNS text LANGUAGE sql
RETURN (b).outcome || ' ' || (b).code || ' ' || (b).field;

SELECT is((test.sale(1, 100)).outcome, 'MINE', 'a new key is mine');
SELECT is((test.sale(1, 100)).outcome, 'MINE', 'and still is, asked again after a lost commit');
SELECT is((SELECT count(*) FROM payment.event WHERE payment = 'pay_1'), 1::bigint,
          'asking again writes nothing');
SELECT is((b).outcome || ' ' || (b).ref || ' ' || (b).payment, 'EXISTS ' || test.ref(1) || ' pay_1',
          'another ref with the same key and request: the first one''s')
  FROM test.sale(2, 100, key => 'key-1', fingerprint => 'print-1') AS b;
SELECT is((test.sale(2, 999, key => 'key-1', fingerprint => 'other')).outcome, 'CONFLICT',
          'the same key for another request is a conflict');
SELECT is((test.sale(1, 100, holder => 'gw-2')).outcome, 'EXISTS', 'another holder''s is not mine');
SELECT test.result(1, 'APPROVED');
SELECT is((test.sale(1, 100)).outcome, 'EXISTS', 'once it has an outcome it is not to be sent again');
SELECT is((test.sale(3, 100, location => 'BOG', key => 'key-1')).outcome, 'MINE',
          'the same key at another location is another key');
SELECT is((b).processor || ' ' || (b).account, 'clearent main', 'the account is the location''s')
  FROM test.sale(4, 100) AS b;

-- refusals
CREATE TABLE test.counted AS
    SELECT (SELECT count(*) FROM payment.attempt) AS attempts,
           (SELECT count(*) FROM payment.payment) AS payments,
           (SELECT count(*) FROM payment.event) AS events,
           (SELECT count(*) FROM payment.invoice_part) AS parts;
SELECT is(test.refused(test.sale(10, 100, location => 'XXX')), 'REFUSED location_unknown location',
          'unknown location');
SELECT is(test.refused(test.sale(10, 100, location => 'OFF')), 'REFUSED location_disabled location',
          'disabled location');
SELECT is(test.refused(payment.sale_begin('pay_10', test.ref(10), 'gw-1', 'MIA/counter1', 'key-10', 'print', 'MIA',
              'counter1', 'SALE', 100, 'USD', NULL, NULL, 'hold_10', NULL, 'VISA', '1111', '1230',
              'KEYED', NULL, 'clerk', false, '{clearent-west}')), 'REFUSED credential_missing location',
          'a location whose account has no key');
SELECT is(test.refused(test.sale(10, 100, currency => 'EUR')), 'REFUSED currency_mismatch currency',
          'another currency than the location''s');
SELECT is(test.refused(test.sale(10, 100, customer => 'C-9')), 'REFUSED customer_unknown customer',
          'unknown customer');
SELECT is(test.refused(test.sale(10, 100, 'I-9=100')), 'REFUSED invoice_unknown invoices[0].invoice',
          'unknown invoice');
SELECT is(test.refused(test.sale(10, 200, 'I-1=100,I-3=100', 'C-1')),
          'REFUSED invoice_of_other_customer invoices[1].invoice', 'another customer''s invoice');
SELECT is(test.refused(test.sale(10, 200, 'I-1=100,I-3=100')),
          'REFUSED invoice_of_other_customer invoices[1].invoice', 'invoices of two customers');
SELECT is(test.refused(test.sale(10, 100, 'I-EUR=100')),
          'REFUSED currency_mismatch invoices[0].invoice', 'an invoice in another currency');
SELECT is(test.refused(test.sale(10, 100, 'I-PAID=100')),
          'REFUSED invoice_closed invoices[0].invoice', 'a paid invoice');
SELECT is(test.refused(test.sale(10, 5001, 'I-1=5001')),
          'REFUSED amount_above_open invoices[0].amount_minor', 'more than is open');
SELECT is(test.refused(test.sale(10, 100, 'I-1=60,I-2=50')), 'REFUSED split_mismatch invoices',
          'a split that does not add up');
SELECT is(test.refused(test.sale(10, 100, 'I-1=60,I-1=40')), 'REFUSED invoice_repeated invoices',
          'an invoice named twice');
SELECT is(test.refused(test.sale(10, 100, holder => 'gw-9')), 'REFUSED instance_ended ',
          'an instance that never started');
SELECT results_eq('SELECT * FROM test.counted',
                  $$SELECT (SELECT count(*) FROM payment.attempt),
                           (SELECT count(*) FROM payment.payment),
                           (SELECT count(*) FROM payment.event),
                           (SELECT count(*) FROM payment.invoice_part)$$,
                  'a refused request leaves nothing');
SELECT is((test.sale(10, 100)).outcome, 'MINE', 'and its key is free for the corrected one');

-- one payment of an invoice at a time
SELECT is((test.sale(20, 100, 'I-1=100')).outcome, 'MINE', 'a payment of I-1 begins');
SELECT is((SELECT customer FROM payment.payment WHERE id = 'pay_20'), 'C-1',
          'without a customer it is the invoice''s');
SELECT is(test.refused(test.sale(21, 100, 'I-1=100')),
          'REFUSED invoice_payment_in_progress invoices[0].invoice', 'SENDING holds its invoice');
SELECT test.result(20, 'UNKNOWN', horizon_ms => 1000, next_try_ms => 0);
SELECT is((test.sale(21, 100, 'I-1=100')).code, 'invoice_payment_in_progress', 'UNKNOWN holds it');
SELECT test.result(20, 'REVIEW');
SELECT is((test.sale(21, 100, 'I-1=100')).code, 'invoice_payment_in_progress', 'REVIEW holds it');
SELECT test.result(20, 'NOT_CHARGED');
SELECT is((test.sale(21, 100, 'I-1=100')).outcome, 'MINE', 'NOT_CHARGED lets it go');
SELECT test.result(21, 'DECLINED');
SELECT is((test.sale(22, 100, 'I-1=100')).outcome, 'MINE', 'DECLINED lets it go');
SELECT test.result(22, 'REVERSING', processor_id => 'T22');
SELECT is((test.sale(23, 100, 'I-1=100')).code, 'invoice_payment_in_progress', 'REVERSING holds it');
SELECT is(test.open('I-1'), '5000 OPEN', 'nothing was paid by any of them');

-- application
SELECT is(test.approved(31, 2000, 'I-2=2000', 'C-1'), 'MINE APPROVED', 'a part of I-2 is paid');
SELECT is(test.open('I-2'), '1000 PARTLY_PAID', 'the rest stays open');
SELECT is((test.result(31, 'APPROVED')).applied, true, 'the result told twice is applied');
SELECT is(test.open('I-2'), '1000 PARTLY_PAID', 'but counts once');
SELECT is(test.approved(32, 1000, 'I-2=1000'), 'MINE APPROVED', 'the rest is paid');
SELECT is(test.open('I-2'), '0 PAID', 'and the invoice is paid');
SELECT results_eq($$SELECT debit, credit, amount_minor FROM books.journal
                     WHERE payment = 'pay_31'$$,
                  $$VALUES ('card_clearing', 'accounts_receivable', 2000::bigint)$$,
                  'the journal says where the money is from');
SELECT is((SELECT sum(debit_minor) - sum(credit_minor) FROM books.journal_line), 0::numeric,
          'the journal is balanced');
SELECT test.approved(33, 700);
SELECT is((SELECT reason || ' ' || amount_minor FROM books.suspense WHERE payment = 'pay_33'),
          'VIRTUAL_TERMINAL 700', 'money without an invoice waits to be reconciled by hand');
SELECT is((SELECT credit FROM books.journal WHERE payment = 'pay_33'), 'suspense',
          'and never passes to accounting');

-- oldest first
CREATE FUNCTION test.oldest_first(n integer, amount bigint, customer text DEFAULT 'C-1')
RETURNS payment.sale_begun LANGUAGE sql AS $$
    SELECT payment.sale_begin('pay_' || n, test.ref(n), 'gw-1', 'MIA/counter1', 'key-' || n,
                              'print-' || n, 'MIA', 'counter1', 'SALE', amount, 'USD', customer,
                              '[]', 'hold_' || n, NULL, 'VISA', '1111', '1230', 'KEYED', NULL, 'clerk', true)
$$;
CREATE FUNCTION test.parts(n integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(invoice || '=' || amount_minor, ',' ORDER BY position)
      FROM payment.invoice_part WHERE payment = 'pay_' || n
$$;
INSERT INTO books.customer VALUES ('C-3', 'Lily & Co', '');
INSERT INTO books.invoice VALUES
    ('O-9', 'C-3', 'MIA', '2025-12-01', '2026-01-31', 100, 100, 'USD'),
    ('O-8', 'C-3', 'BOG', '2025-12-02', '2025-12-31', 200, 150, 'USD'),
    ('O-7', 'C-3', 'MIA', '2025-12-02', '2026-01-31', 300, 300, 'USD'),
    ('O-1', 'C-3', 'MIA', '2025-01-01', '2025-01-31', 300, 0, 'USD'),
    ('O-2', 'C-3', 'MIA', '2025-01-01', '2025-01-31', 300, 300, 'EUR');
SELECT is(test.refused(test.oldest_first(34, 551, 'C-3')),
          'REFUSED amount_above_open amount_minor', 'more than is open of the customer');
SELECT is((test.oldest_first(34, 1, 'C-2')).outcome, 'MINE', 'as little as one cent can be paid');
SELECT is(test.parts(34), 'I-3=1', 'on the only invoice');
SELECT is((test.oldest_first(35, 270, 'C-3')).outcome, 'MINE', 'a part of what is open is paid');
SELECT is(test.parts(35), 'O-9=100,O-8=150,O-7=20', 'by date, due date, number; paid ones left out');
SELECT is(test.refused(test.oldest_first(36, 1, 'C-3')),
          'REFUSED invoice_payment_in_progress oldest_first', 'not past a payment under way');
SELECT test.result(35, 'APPROVED');
SELECT is(test.open('O-7'), '280 PARTLY_PAID', 'applied as it was split');
SELECT is((test.oldest_first(36, 280, 'C-3')).outcome, 'MINE', 'the rest is paid');
INSERT INTO books.customer VALUES ('C-4', 'Fern & Sons', '');
INSERT INTO books.invoice VALUES
    ('P-1', 'C-4', 'MIA', '2025-12-01', '2026-01-31', 100, 100, 'USD'),
    ('P-2', 'C-4', 'MIA', '2025-12-02', '2026-01-31', 200, 200, 'USD');
SELECT test.approved(37, 70, 'P-1=70', 'C-4', 'AUTH');
SELECT is((test.oldest_first(38, 130, 'C-4')).outcome, 'MINE', 'beside an authorisation');
SELECT is(test.parts(38), 'P-1=30,P-2=100', 'what it holds is left to it');

-- answers
SELECT is((SELECT outcome || ' ' || authorisation_code || ' ' || captured_minor
             FROM payment.answer('MIA/counter1', 'key-31', NULL, NULL)), 'APPROVED AUTH31 2000',
          'the answer by key');
SELECT is((SELECT ref FROM payment.answer(NULL, NULL, 'pay_31', NULL)), test.ref(31),
          'the answer by payment');
SELECT is_empty($$SELECT * FROM payment.answer('MIA/counter1', 'nobody', NULL, NULL)$$, 'unknown: no row');
SELECT is((SELECT outcome FROM payment.answer('MIA/counter1', 'key-4', NULL, NULL)), 'PENDING',
          'SENDING is told PENDING');
SELECT is((SELECT outcome FROM payment.answer('MIA/counter1', 'key-22', NULL, NULL)), 'PENDING',
          'REVERSING is told PENDING');
SELECT is((SELECT outcome FROM payment.answer('MIA/counter1', 'key-20', NULL, NULL)), 'NOT_CHARGED',
          'NOT_CHARGED is told NOT_CHARGED');
SELECT is((SELECT outcome FROM payment.answer('MIA/counter1', 'key-21', NULL, NULL)), 'DECLINED',
          'DECLINED is told DECLINED');

-- cancellation
SELECT test.sale(40, 100);
SELECT is((SELECT outcome FROM payment.cancel_request('MIA/counter1', 'key-40', 'clerk')),
          'CANCEL_ACCEPTED', 'what is being sent can be cancelled');
SELECT is((SELECT outcome FROM payment.cancel_request('MIA/counter1', 'key-40', 'clerk')),
          'CANCEL_ACCEPTED', 'twice is once');
SELECT is((SELECT count(*) FROM payment.event WHERE payment = 'pay_40'), 2::bigint,
          'one event of it');
SELECT is((r).state || ' ' || (r).applied, 'REVERSING true',
          'a late approval of a cancelled payment is reversed')
  FROM test.result(40, 'APPROVED') AS r;
SELECT is((r).state || ' ' || (r).applied, 'REVERSING true', 'also when told twice')
  FROM test.result(40, 'APPROVED') AS r;
SELECT is_empty($$SELECT * FROM books.suspense WHERE payment = 'pay_40'$$, 'and never in the books');
SELECT is((SELECT outcome || ' ' || amount_minor
             FROM payment.cancel_request('MIA/counter1', 'key-31', 'clerk')), 'APPROVED 2000',
          'an approved payment is voided or refunded, not cancelled');
SELECT is((SELECT outcome FROM payment.cancel_request('MIA/counter1', 'key-41', 'clerk')),
          'CANCEL_ACCEPTED', 'a sale that is still on its way is cancelled by its key');
SELECT is((SELECT outcome FROM payment.cancel_request('MIA/counter1', 'key-41', 'clerk')),
          'CANCEL_ACCEPTED', 'twice is once');
SELECT is((s).outcome || ' ' || (s).code, 'REFUSED cancelled', 'then it is refused when it comes')
  FROM test.sale(41, 100) AS s;
SELECT is((SELECT outcome FROM payment.answer('MIA/counter1', 'key-41', NULL, NULL)), 'NOT_CHARGED',
          'and told as not charged');
SELECT is_empty($$SELECT * FROM payment.attempt WHERE key = 'key-41'$$, 'it leaves no attempt');
SELECT throws_ok($$DELETE FROM payment.cancelled_key$$, 'KP002', NULL, 'nor is it ever forgotten');
SELECT throws_ok($$UPDATE payment.attempt SET cancel_requested = false WHERE ref = test.ref(40)$$,
                 'KP002', NULL, 'a cancellation is one way');
SELECT is_empty('SELECT * FROM payment.event_verify()', 'all stories are whole');
SELECT * FROM finish();
ROLLBACK;
