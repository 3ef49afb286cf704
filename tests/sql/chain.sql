-- Append-only tables, and the chains of events and audit rows: a changed, removed or reordered row
-- is named.
BEGIN;
SELECT test.open_business();
SELECT plan(36);
SELECT test.approved(1, 100, 'I-1=100');
SELECT test.approved(2, 200);
SELECT test.follow(3, 2, 'REFUND', 50);
SELECT test.result(3, 'APPROVED');
SELECT test.approved(4, 300);
SELECT test.follow(5, 4, 'VOID');
SELECT test.result(5, 'APPROVED');
SELECT books.location_put('clerk', 'NYC', 'New York', 'America/New_York', 'clearent', 'main', 'USD',
                          true);
SELECT payment.instance_end('gw-2');
SET CONSTRAINTS ALL IMMEDIATE;

-- append-only
SELECT throws_ok(format('UPDATE %s SET %2$s = %2$s', t, c), 'KP002', NULL, t || ' is never updated')
  FROM (VALUES ('payment.payment', 'location'), ('payment.invoice_part', 'position'),
               ('payment.event', 'note'), ('books.application', 'at'), ('books.journal', 'at'),
               ('audit.log', 'actor')) AS x (t, c);
SELECT throws_ok(format('DELETE FROM %s', t), 'KP002', NULL, t || ' is never deleted')
  FROM unnest(ARRAY['payment.payment', 'payment.invoice_part', 'payment.event', 'books.application',
                    'books.journal', 'audit.log']) AS t;
SELECT throws_ok(format('TRUNCATE %s CASCADE', t), 'KP002', NULL, t || ' is never emptied')
  FROM unnest(ARRAY['payment.payment', 'payment.event', 'books.journal', 'audit.log']) AS t;

-- events
SELECT is_empty('SELECT * FROM payment.event_verify()', 'the events are whole');
SELECT is((SELECT string_agg(from_state || '>' || to_state, ' ' ORDER BY number)
             FROM payment.event WHERE payment = 'pay_2'),
          '>SENDING SENDING>APPROVED >SENDING SENDING>APPROVED', 'a payment''s story in order');
SAVEPOINT whole;
SELECT test.tamper($$UPDATE payment.event SET note = 'x' WHERE payment = 'pay_2' AND number = 2$$);
SELECT results_eq('SELECT payment, number, problem FROM payment.event_verify()',
                  $$VALUES ('pay_2', 2, 'event 2 was changed')$$, 'a changed event is named');
ROLLBACK TO whole;
SELECT test.tamper($$DELETE FROM payment.event WHERE payment = 'pay_2' AND number = 3$$);
SELECT results_eq('SELECT payment, number, problem FROM payment.event_verify()',
                  $$VALUES ('pay_2', 4, 'event 3 was removed')$$, 'a removed event is named');
ROLLBACK TO whole;
SELECT test.tamper($$DELETE FROM payment.event WHERE payment = 'pay_2' AND number = 4$$);
SELECT is((SELECT payment || ' ' || problem FROM payment.event_verify()),
          format('pay_2 the last event of attempt %s is missing', test.ref(3)),
          'the last event can not be cut off');
ROLLBACK TO whole;
-- an event that changes no state is missed as well: a cancellation that was asked for
SET CONSTRAINTS ALL DEFERRED;
SELECT test.sale(6, 400);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT payment.cancel_request('MIA/counter1', 'key-6', 'clerk');
SELECT is_empty('SELECT * FROM payment.event_verify()', 'a cancellation is in the story');
SELECT test.tamper($$DELETE FROM payment.event WHERE payment = 'pay_6' AND number = 2$$);
SELECT results_eq('SELECT payment, number, problem FROM payment.event_verify()',
                  format($$VALUES ('pay_6', 2, 'the last event of attempt %s is missing')$$,
                         test.ref(6)), 'and can not be cut off');
ROLLBACK TO whole;
SELECT test.tamper($$DELETE FROM payment.event WHERE payment = 'pay_1'$$);
SELECT is((SELECT problem FROM payment.event_verify()),
          format('the last event of attempt %s is missing', test.ref(1)), 'nor a whole story');
ROLLBACK TO whole;
SELECT test.force(1, $$state = 'DECLINED'$$);
SELECT is((SELECT problem FROM payment.event_verify()),
          format('attempt %s does not agree with its last event', test.ref(1)),
          'an attempt put into another state is named');
ROLLBACK TO whole;
-- the last event made anew, with a hash that fits
SELECT test.tamper($$UPDATE payment.event e SET note = 'x', hash = payment.event_hash(
    e.previous_hash, e.payment, e.number, e.attempt, e.at, e.kind, e.from_state, e.to_state, e.actor,
    'x') WHERE e.payment = 'pay_2' AND e.number = 4$$);
SELECT is((SELECT problem FROM payment.event_verify()),
          format('attempt %s does not agree with its last event', test.ref(3)),
          'a last event made anew is named');
ROLLBACK TO whole;
SELECT test.tamper($$UPDATE payment.event e SET to_state = 'UNKNOWN', hash = payment.event_hash(
    e.previous_hash, e.payment, e.number, e.attempt, e.at, e.kind, e.from_state, 'UNKNOWN', e.actor,
    e.note) WHERE e.payment = 'pay_2' AND e.number = 2$$);
SELECT results_eq('SELECT payment, number FROM payment.event_verify()', $$VALUES ('pay_2', 3)$$,
                  'and one in the middle by the next');
ROLLBACK TO whole;
SELECT test.tamper($$UPDATE payment.event SET number = 9 - number WHERE payment = 'pay_2'
                      AND number IN (4, 5)$$);
SELECT isnt_empty('SELECT * FROM payment.event_verify()', 'a renumbered event is found');
ROLLBACK TO whole;
SELECT test.tamper($$UPDATE payment.event e
    SET number = 5 - e.number WHERE e.payment = 'pay_1' AND e.number = 2$$);
SELECT results_eq('SELECT payment, problem FROM payment.event_verify()',
                  $$VALUES ('pay_1', 'event 2 was removed')$$, 'a moved event leaves a hole');
ROLLBACK TO whole;

-- audit
SELECT results_eq('SELECT act FROM audit.log ORDER BY number',
                  ARRAY['payment.refund', 'payment.void', 'location.put', 'instance.end'],
                  'the privileged acts were written');
SELECT is_empty('SELECT * FROM audit.verify()', 'the audit log is whole');
SAVEPOINT audited;
SELECT test.tamper($$UPDATE audit.log SET actor = 'nobody' WHERE number = 2$$);
SELECT results_eq('SELECT * FROM audit.verify()', $$VALUES (2::bigint, 'row 2 was changed')$$,
                  'a changed row is named');
ROLLBACK TO audited;
SELECT test.tamper($$DELETE FROM audit.log WHERE number = 2$$);
SELECT results_eq('SELECT * FROM audit.verify()', $$VALUES (2::bigint, 'row 2 was removed')$$,
                  'a removed row is named');
ROLLBACK TO audited;
SELECT test.tamper($$DELETE FROM audit.log WHERE number = 4$$);
SELECT results_eq('SELECT * FROM audit.verify()',
                  $$VALUES (4::bigint, 'row 4 was removed from the end')$$,
                  'the last row can not be cut off');
ROLLBACK TO audited;
SELECT test.tamper($$UPDATE audit.log SET number = 100 + number WHERE number IN (2, 3)$$);
SELECT test.tamper($$UPDATE audit.log SET number = 105 - number WHERE number IN (102, 103)$$);
SELECT results_eq('SELECT * FROM audit.verify()', $$VALUES (2::bigint, 'row 2 was changed')$$,
                  'reordered rows are named');
ROLLBACK TO audited;
-- a thief who also recomputes the row's own hash still breaks the chain at the next row
SELECT test.tamper($$UPDATE audit.log SET actor = 'nobody', hash = audit.row_hash(
    previous_hash, number, at, 'nobody', act, object, detail) WHERE number = 2$$);
SELECT results_eq('SELECT * FROM audit.verify()',
                  $$VALUES (3::bigint, 'row 3 does not follow row 2')$$,
                  'a row with a hash made anew is found by the next');
SELECT * FROM finish();
ROLLBACK;
