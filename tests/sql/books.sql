-- Set-up, imports, the transaction log and the story.
BEGIN;
SELECT test.open_business();
SELECT plan(68);

-- locations and customers
SELECT is(books.location_put('clerk', 'NYC', 'New York', 'America/New_York', 'clearent', 'main',
                             'USD', true), 'created', 'a new location');
SELECT is(books.location_put('clerk', 'NYC', 'New York', 'America/New_York', 'clearent', 'main',
                             'USD', true), 'same', 'the same again');
SELECT is(books.location_put('clerk', 'NYC', 'New York', 'America/New_York', 'clearent', 'main',
                             'USD', false), 'changed', 'disabled');
SELECT is((SELECT count(*) FROM audit.log WHERE act = 'location.put' AND actor = 'clerk'), 2::bigint,
          'each change is audited');
SELECT throws_ok($$SELECT books.location_put('clerk', 'X', 'X', 'Mars/Base', 'clearent', 'main',
                                             'USD', true)$$, 'KP001', NULL, 'no such time zone');
SELECT throws_ok($$SELECT books.location_put('clerk', 'MIA', 'Miami', 'America/New_York', 'clearent',
                                             'main', 'EUR', true)$$, 'KP001', NULL,
                 'a location with invoices keeps its currency');
SELECT is((SELECT string_agg(code, ' ') FROM books.location_list()), 'BOG MIA NYC OFF', 'by code');
SELECT is(books.customer_put('C-3', 'Fern', NULL), 'created', 'a new customer');
SELECT is(books.customer_put('C-3', 'Fern', ''), 'same', 'the same again');
SELECT is(books.customer_put('C-3', 'Ferns', 'a@b.example'), 'changed', 'renamed');
SELECT results_eq($$SELECT customer, open_minor, currency FROM books.customer_list('', '', 1)$$,
                  $$VALUES ('C-1', 2000::bigint, 'EUR'), ('C-1', 8000, 'USD')$$,
                  'a row for each currency: a page of one, and one more row as there are more');
SELECT results_eq($$SELECT customer, open_minor, currency
                      FROM books.customer_list('C-1', 'EUR', 10)$$,
                  $$VALUES ('C-1', 8000::bigint, 'USD'), ('C-2', 2000, 'USD'), ('C-3', 0, '')$$,
                  'the next page goes on with the customer''s next currency');
SELECT is((SELECT string_agg(customer, ' ') FROM books.customer_list('C-1', '', 10)), 'C-2 C-3',
          'or after the customer');

-- one invoice
SELECT is(books.invoice_put('I-1', 'C-1', 'MIA', '2026-01-01', '2026-01-31', 5000, 'USD'), 'same',
          'the same invoice');
SELECT is(books.invoice_put('I-1', 'C-1', 'MIA', '2026-01-01', '2026-01-31', 6000, 'USD'), 'changed',
          'another amount while nothing was paid');
SELECT is(test.open('I-1'), '6000 OPEN', 'all of it is open');
SELECT test.sale(1, 100, 'I-1=100');
SELECT throws_ok($$SELECT books.invoice_put('I-1', 'C-1', 'MIA', '2026-01-01', '2026-01-31', 7000,
                                            'USD')$$, 'KP001',
                 'A payment of invoice I-1 is not finished yet.', 'not while it is being paid');
SELECT test.result(1, 'APPROVED');
SELECT throws_ok($$SELECT books.invoice_put('I-1', 'C-1', 'MIA', '2026-01-01', '2026-01-31', 7000,
                                            'USD')$$, 'KP001',
                 'Something was paid on invoice I-1; it can''t be changed.', 'nor once it was');
SELECT is(books.invoice_put('I-1', 'C-1', 'MIA', '2026-01-01', '2026-01-31', 6000, 'USD'), 'same',
          'the same is no change');
SELECT throws_ok($$SELECT books.invoice_put('N', 'C-9', 'MIA', '2026-01-01', '2026-01-31', 1,
                                            'USD')$$, 'KP001', NULL, 'an unknown customer');
SELECT results_eq($$SELECT invoice FROM books.invoice_list('C-1', 'PARTLY_PAID', '', 10)$$,
                  ARRAY['I-1'], 'listed by state');
SELECT results_eq($$SELECT invoice FROM books.invoice_list('', '', 'I-2', 1)$$,
                  ARRAY['I-3', 'I-EUR'], 'listed by number, a page and one more');
SELECT throws_ok($$SELECT books.invoice_list('', 'LOST', '', 1)$$, 'KP001', NULL,
                 'a state that does not exist');

-- a piece of an export
CREATE FUNCTION test.line(line integer, invoice text, customer text DEFAULT 'C-1',
                          amount bigint DEFAULT 100, location text DEFAULT 'MIA',
                          currency text DEFAULT 'USD', name text DEFAULT '',
                          due date DEFAULT '2026-02-01') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('line', line, 'invoice', invoice, 'customer', customer,
                              'customer_name', name, 'location', location, 'invoice_date',
                              '2026-01-05', 'due_date', due, 'amount_minor', amount, 'currency',
                              currency)
$$;
CREATE FUNCTION test.import(check_only boolean, VARIADIC lines jsonb[]) RETURNS text
LANGUAGE sql AS $$
    SELECT concat_ws(' ', i.read, i.created, i.changed, i.same,
                     (SELECT string_agg(concat_ws(':', f ->> 'line', f ->> 'field', f ->> 'code'),
                                        ' ' ORDER BY (f ->> 'line')::integer)
                        FROM jsonb_array_elements(i.faults) AS f))
      FROM books.invoice_import(to_jsonb(lines), check_only) AS i
$$;
SELECT is(test.import(true, test.line(2, 'X-1'), test.line(3, 'X-2')), '2 2 0 0', 'a check');
SELECT is_empty($$SELECT * FROM books.invoice WHERE invoice LIKE 'X-%'$$, 'takes nothing');
SELECT is(test.import(false, test.line(2, 'X-1'), test.line(3, 'X-2', 'C-50', name => 'New one')),
          '2 2 0 0', 'an import');
SELECT is((SELECT string_agg(invoice || '=' || open_minor, ' ' ORDER BY invoice) FROM books.invoice
            WHERE invoice LIKE 'X-%'), 'X-1=100 X-2=100', 'takes all');
SELECT is((SELECT name FROM books.customer WHERE customer = 'C-50'), 'New one',
          'and the customers it names');
SELECT is(test.import(false, test.line(2, 'X-1'), test.line(3, 'X-2', 'C-50', 200),
                      test.line(4, 'X-3')), '3 1 1 1', 'created, changed, same');
SELECT is(test.import(false, test.line(2, 'Y-1'), test.line(3, 'Y-1'), test.line(4, 'Y-2', 'C-9'),
                      test.line(5, 'Y-3', location => 'XXX'), test.line(6, 'Y-4', currency => 'EUR'),
                      test.line(7, 'Y-5', due => '2026-01-04'), test.line(8, 'I-1')),
          '7 0 0 0 3:invoice:invoice_repeated 4:customer:customer_unknown '
          '5:location:location_unknown 6:currency:currency_mismatch 7:due_date:due_before_invoice '
          '8:invoice:invoice_has_payments', 'every faulty line is named');
SELECT is_empty($$SELECT * FROM books.invoice WHERE invoice LIKE 'Y-%'$$, 'and nothing is taken');
SELECT is(test.import(false, VARIADIC '{}'), '0 0 0 0', 'nothing at all is good');

-- an export in pieces
CREATE FUNCTION test.piece(import text, VARIADIC lines jsonb[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT books.import_put(import, to_jsonb(lines))
$$;
CREATE FUNCTION test.end(import text, lines bigint, check_only boolean DEFAULT false) RETURNS text
LANGUAGE sql AS $$
    SELECT concat_ws(' ', i.read, i.created, i.changed, i.same,
                     (SELECT string_agg(concat_ws(':', f ->> 'line', f ->> 'code'), ' ')
                        FROM jsonb_array_elements(i.faults) AS f))
      FROM books.import_end(import, lines, check_only) AS i
$$;
SELECT is(test.piece('A', test.line(2, 'P-1', 'C-60', name => 'Only here'), test.line(3, 'P-2', 'C-60')),
          2::bigint, 'lines are kept');
SELECT is(test.piece('A', test.line(2, 'P-1', 'C-60', name => 'Only here'), test.line(3, 'P-2', 'C-60')),
          2::bigint, 'once, however often they are sent');
SELECT is(test.piece('A', test.line(4, 'P-3', 'C-60')), 3::bigint, 'and the next piece');
SELECT is_empty($$SELECT * FROM books.invoice WHERE invoice LIKE 'P-%'$$, 'no invoice is there yet');
SELECT throws_ok($$SELECT test.end('A', 4)$$, 'KP001', NULL, 'a piece that is missing is missed');
SELECT is(test.end('A', 3), '3 3 0 0', 'a customer named once is known on all lines of the file');
SELECT is(test.end('A', 3), '3 3 0 0', 'asked again after a lost commit');
SELECT is_empty('SELECT * FROM books.import_line', 'the lines are forgotten');
SELECT test.piece('B', test.line(2, 'P-4'));
SELECT test.piece('B', test.line(9000, 'P-4', amount => 900), test.line(9001, 'P-5'));
SELECT is(test.end('B', 3), '3 0 0 0 9000:invoice_repeated',
          'an invoice that another piece has is named twice');
SELECT is_empty($$SELECT * FROM books.invoice WHERE invoice IN ('P-4', 'P-5')$$, 'nothing is taken');
SELECT test.piece('C', test.line(2, 'P-6'));
SELECT is(test.end('C', 1, true), '1 1 0 0', 'checked only');
SELECT is_empty($$SELECT * FROM books.invoice WHERE invoice = 'P-6'$$, 'takes nothing either');
SELECT test.piece('D', test.line(2, 'P-7'));
UPDATE books.import SET begun_at = begun_at - interval '25 hours' WHERE import = 'D';
SELECT test.piece('E', test.line(2, 'P-8'));
SELECT is((SELECT string_agg(DISTINCT import, ' ') FROM books.import_line), 'E',
          'an import that was left is forgotten after a day');

-- the log
SELECT test.approved(10, 700);
SELECT test.follow(11, 10, 'REFUND', 300);
SELECT test.result(11, 'APPROVED');
SELECT test.approved(12, 900, 'I-3=900', location => 'BOG');
CREATE FUNCTION test.log(location text DEFAULT '', pos text DEFAULT '', day_from text DEFAULT '',
                         day_to text DEFAULT '', customer text DEFAULT '', invoice text DEFAULT '',
                         state text DEFAULT '', kind text DEFAULT '', method text DEFAULT '',
                         last_four text DEFAULT '', code text DEFAULT '', amount bigint DEFAULT 0, after text DEFAULT '',
                         page integer DEFAULT 10) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(ltrim(l.attempt, 'A'), ' ')
      FROM books.transaction_log(location, pos, day_from, day_to, customer, invoice, state, kind,
                                 method, last_four, code, amount, after, page) AS l
$$;
SELECT is(test.log(), '12 11 10 1', 'newest first');
SELECT is(test.log(location => 'BOG'), '12', 'by location');
SELECT is(test.log(pos => 'counter1', customer => 'C-2'), '12', 'by customer and POS');
SELECT is(test.log(invoice => 'I-1'), '1', 'by invoice');
SELECT is(test.log(state => 'APPROVED', kind => 'REFUND'), '11', 'by state and kind');
SELECT is(test.log(kind => 'SALE', method => 'KEYED'), '12 10 1', 'by method');
SELECT is(test.log(method => 'STORED'), NULL, 'and no other method');
SELECT throws_ok($$SELECT test.log(state => 'APROVED')$$, 'KP001', 'There is no state APROVED.',
                 'no such state');
SELECT throws_ok($$SELECT test.log(kind => 'SALES')$$, 'KP001', 'There is no kind SALES.',
                 'no such kind');
SELECT throws_ok($$SELECT test.log(method => 'CASH')$$, 'KP001', 'There is no method CASH.',
                 'no such method');
SELECT is(test.log(last_four => '1111', amount => 900), '12', 'by last four and amount');
SELECT is(test.log(code => 'AUTH10'), '10', 'by authorisation code');
SELECT is(test.log(code => 'Refund AUTH11'), '11', 'a refund''s code with its word');
SELECT is(test.log(page => 2), '12 11 10', 'a page of two, and one more row');
SELECT is((SELECT test.log(after => l.cursor, page => 2)
             FROM books.transaction_log('', '', '', '', '', '', '', '', '', '', '', 0, '', 10) AS l
            WHERE l.attempt = test.ref(11)), '10 1', 'the next page begins after the cursor');
SELECT test.force(1, $$created_at = '2026-03-02 04:59:59Z'$$);
SELECT test.force(10, $$created_at = '2026-03-01 05:00:00Z'$$);
SELECT is(test.log(day_from => '2026-03-01', day_to => '2026-03-01'), '1 10',
          'a day is the location''s own');
SELECT is(test.log(day_to => '2026-02-28'), NULL, 'and no other');
SELECT throws_ok($$SELECT test.log(day_from => '2026-02-29')$$, 'KP001', NULL, 'no such day');
SELECT throws_ok($$SELECT test.log(after => 'nonsense')$$, 'KP001', NULL, 'no such cursor');
SELECT is((SELECT to_reconcile || ' ' || authorisation_code FROM books.transaction_log(
              '', '', '', '', '', '', '', 'REFUND', '', '', '', 0, '', 10)), 'true Refund AUTH11',
          'a refund is to reconcile by hand');
SELECT is((SELECT string_agg(to_state, ' ') FROM books.payment_story('pay_10')),
          'SENDING APPROVED SENDING APPROVED', 'a story');
SELECT throws_ok($$SELECT books.payment_story('pay_99')$$, 'KP001', 'This payment is not known.',
                 'no story');
SELECT is(octet_length(books.cut(repeat('é', 150))) <= 200, true, 'long texts are cut by bytes');
SELECT * FROM finish();
ROLLBACK;
