-- An invoice that an authorisation will be captured for is not free for another payment, nor to be
-- changed by the ERP.
BEGIN;
SELECT test.open_business();
SELECT plan(15);

CREATE FUNCTION test.refused(b payment.sale_begun) RETURNS text LANGUAGE sql
RETURN (b).outcome || coalesce(' ' || (b).code, '');
CREATE FUNCTION test.change(invoice text, amount bigint) RETURNS text LANGUAGE sql AS $$
    SELECT books.invoice_put(invoice, 'C-1', 'MIA', '2026-01-01', '2026-01-31', amount, 'USD')
$$;

SELECT test.approved(1, 3000, 'I-1=3000', kind => 'AUTH');
SELECT is(test.refused(test.sale(2, 5000, 'I-1=5000', kind => 'AUTH')), 'REFUSED amount_above_open',
          'not twice the whole of an invoice');
SELECT is((test.sale(2, 2001, 'I-1=2001')).sentence,
          'An authorisation holds a part of invoice I-1: capture or void it first.',
          'and the clerk is told why');
SELECT is(test.refused(test.sale(2, 2000, 'I-1=2000')), 'MINE', 'what is left of it is free');
SELECT test.result(2, 'APPROVED');
SELECT is(test.open('I-1'), '3000 PARTLY_PAID', 'and paid');
SELECT is(test.refused(test.sale(3, 1, 'I-1=1')), 'REFUSED amount_above_open', 'now all is held');
SELECT test.follow(4, 1, 'CAPTURE');
SELECT is(test.refused(test.sale(5, 1, 'I-1=1')), 'REFUSED invoice_payment_in_progress',
          'while it is being captured');
SELECT test.result(4, 'APPROVED');
SELECT is(test.open('I-1'), '0 PAID', 'captured, the invoice is paid');
SELECT is((SELECT count(*) FROM books.suspense), 0::bigint, 'and nothing was overpaid');

-- given free by a void, or by a smaller capture
SELECT test.approved(10, 2000, 'I-3=2000', kind => 'AUTH');
SELECT test.follow(11, 10, 'VOID');
SELECT test.result(11, 'APPROVED');
SELECT is(test.refused(test.sale(12, 2000, 'I-3=2000')), 'MINE', 'a void gives the invoice free');
SELECT test.approved(20, 3000, 'I-2=3000', kind => 'AUTH');
SELECT throws_ok($$SELECT test.change('I-2', 2999)$$, 'KP001',
                 'A payment of invoice I-2 is not finished yet.',
                 'an authorised invoice is not changed');
SELECT test.follow(21, 20, 'CAPTURE', 1000);
SELECT throws_ok($$SELECT test.change('I-2', 2999)$$, 'KP001',
                 'A payment of invoice I-2 is not finished yet.', 'nor while it is captured');
SELECT test.result(21, 'APPROVED');
SELECT is(test.open('I-2'), '2000 PARTLY_PAID', 'a smaller capture');
SELECT is(test.refused(test.sale(22, 2000, 'I-2=2000')), 'MINE', 'gives the rest free');
-- a declined authorisation holds nothing
SELECT test.result(22, 'DECLINED');
SELECT test.sale(30, 2000, 'I-2=2000', kind => 'AUTH');
SELECT test.result(30, 'DECLINED');
SELECT is(test.refused(test.sale(31, 2000, 'I-2=2000')), 'MINE', 'a declined authorisation neither');
SELECT is((SELECT held_minor FROM payment.invoice_held('I-9', '')), 0::bigint, 'nor an unknown invoice');
SELECT * FROM finish();
ROLLBACK;
