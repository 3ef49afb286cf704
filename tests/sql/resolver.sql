-- Recovery: claims, epochs, instances, horizons.
BEGIN;
SELECT test.open_business();
SELECT plan(87);

-- an outcome that is unclear
SELECT test.sale(1, 100);
SELECT is((r).applied || ' ' || (r).state, 'true UNKNOWN', 'no clear answer')
  FROM test.result(1, 'UNKNOWN', next_try_ms => 0, horizon_ms => 60000) AS r;
SELECT is((SELECT tries FROM payment.attempt WHERE ref = test.ref(1)), 0, 'no try yet');
CREATE TABLE test.claim AS SELECT * FROM payment.due('gw-2', 10, 60000, 1000000);
SELECT is((SELECT ref || ' ' || state || ' ' || epoch || ' ' || past_horizon
             FROM test.claim), test.ref(1) || ' UNKNOWN 2 false', 'a resolver claims it');
SELECT ok((SELECT age_ms >= closed_ms AND closed_ms >= 0 AND state_ms >= 0
             FROM test.claim), 'with its ages');
SELECT is_empty($$SELECT * FROM payment.due('gw-1', 10, 60000, 1000000)$$, 'nobody else does');
SELECT is((r).applied || ' ' || (r).state, 'false UNKNOWN', 'the first sender is fenced')
  FROM test.result(1, 'APPROVED') AS r;
SELECT is((test.result(1, 'APPROVED', 2, 'gw-1')).applied, false, 'so is another holder');
SELECT is((test.result(1, 'APPROVED', 1, 'gw-2')).applied, false, 'and an older epoch');
SELECT is((SELECT count(*) FROM payment.attempt_absent(test.ref(1), 'gw-2', 2, 0)
            WHERE absent_for_ms IS NOT NULL), 0::bigint, 'before the horizon absence is no proof');
SELECT test.force(1, $$horizon_at = now() - interval '1 second'$$);
SELECT is((SELECT absent_for_ms >= 0 FROM payment.attempt_absent(test.ref(1), 'gw-2', 2, 0)), true,
          'after it the first not-found is noted');
SELECT is((SELECT absent_for_ms FROM payment.attempt_absent(test.ref(1), 'gw-1', 2, 0)), NULL,
          'but not for a fenced one');
SELECT is((r).applied || ' ' || (r).state, 'true UNKNOWN', 'still unknown: asked again later')
  FROM test.result(1, 'UNKNOWN', 2, 'gw-2', next_try_ms => 0) AS r;
SELECT is((SELECT tries FROM payment.attempt WHERE ref = test.ref(1)), 2, 'each answer is counted');
SELECT is((SELECT count(*) FROM payment.event WHERE payment = 'pay_1'), 2::bigint,
          'that is no step of the story');
SELECT is((SELECT absent_at FROM payment.attempt WHERE ref = test.ref(1)), NULL,
          'another answer in between forgets the first not-found');
SELECT is((SELECT past_horizon || ' ' || epoch FROM payment.due('gw-2', 10, 60000, 1059999)),
          'false 3', 'by the wall clock the horizon has passed, by the boot clock not');
SELECT is((SELECT absent_for_ms >= 0 FROM payment.attempt_absent(test.ref(1), 'gw-2', 3, 0)), true,
          'a first not-found again');
SELECT is((SELECT claimed_at IS NULL AND tries = 3 FROM payment.attempt WHERE ref = test.ref(1)),
          true, 'which ends the claim');
SELECT is((SELECT past_horizon || ' ' || epoch FROM payment.due('gw-2', 10, 60000, 1060000)),
          'true 4', 'the horizon has passed by both clocks');
UPDATE payment.instance SET boot_id = 'next boot' WHERE id = 'gw-2';
SELECT test.result(1, 'UNKNOWN', 4, 'gw-2', next_try_ms => 0);
SELECT is((SELECT past_horizon || ' ' || epoch FROM payment.due('gw-2', 10, 60000, 9000)),
          'false 5', 'after the host''s next boot it is counted anew');
SELECT is((test.result(1, 'NOT_CHARGED', 5, 'gw-2', next_try_ms => 0)).state, 'NOT_CHARGED',
          'given up, and watched');
SELECT is((SELECT absent_at FROM payment.attempt WHERE ref = test.ref(1)), NULL,
          'another state begins without a not-found');
SELECT is((SELECT state FROM payment.due('gw-2', 10, 1, 1000000)), 'NOT_CHARGED', 'the watch goes on');
SELECT is((test.result(1, 'REVERSING', 6, 'gw-2', processor_id => 'T1', next_try_ms => 0)).state,
          'REVERSING', 'found late: it is taken back');
SELECT is((SELECT outcome FROM payment.answer(NULL, NULL, 'pay_1', NULL)), 'PENDING', 'meanwhile PENDING');
SELECT is((SELECT unknown || ' ' || review FROM payment.counts()), '1 0', 'it counts as unknown');
SELECT ok((SELECT oldest_unknown_ms >= 0 FROM payment.counts()), 'with the age of the oldest');
SELECT is((SELECT epoch FROM payment.due('gw-2', 10, 1, 1000000)), 7, 'claimed');
SELECT is((SELECT tries FROM payment.attempt WHERE ref = test.ref(1)), 0, 'each state has its own tries');
SELECT is((test.result(1, 'REVERSED', 7, 'gw-2')).state, 'REVERSED', 'reversed');
SELECT is((SELECT next_try_at FROM payment.attempt WHERE ref = test.ref(1)), NULL,
          'a final outcome is not tried again');
SELECT is((test.result(1, 'APPROVED', 7, 'gw-2')).applied, false, 'nothing leaves a final outcome');
SELECT is(test.state(1), 'REVERSED', 'it stays');

-- told as not charged, found approved, and hard to take back: it never stands
SELECT test.sale(2, 100);
SELECT test.result(2, 'UNKNOWN', next_try_ms => 0, horizon_ms => 0);
SELECT payment.due('gw-2', 10, 0, 1);
SELECT test.result(2, 'NOT_CHARGED', 2, 'gw-2', next_try_ms => 0);
SELECT payment.due('gw-2', 10, 0, 1);
SELECT test.result(2, 'REVERSING', 3, 'gw-2', processor_id => 'T2');
SELECT payment.due('gw-2', 10, 0, 1);
SELECT is((test.result(2, 'REVIEW', 4, 'gw-2', next_try_ms => 0)).state, 'REVIEW',
          'a day of trying: a person is asked');
SELECT payment.due('gw-2', 10, 0, 1);
SELECT is((r).applied || ' ' || (r).state, 'true REVERSING',
          'found approved again: it is taken back, not approved')
  FROM test.result(2, 'APPROVED', 5, 'gw-2') AS r;
SELECT is((SELECT next_try_at <= clock_timestamp() FROM payment.attempt WHERE ref = test.ref(2)),
          true, 'and at once');
SELECT is_empty($$SELECT * FROM books.journal WHERE payment = 'pay_2'$$, 'the books never saw it');
SELECT payment.due('gw-2', 10, 0, 1);
SELECT test.result(2, 'REVERSED', 6, 'gw-2');

-- the processor names another attempt's transaction as ours
SELECT test.approved(3, 100);
SELECT test.sale(4, 100);
SELECT is((r).applied || ' ' || (r).state || ' ' || (r).id_taken, 'true UNKNOWN true',
          'that proves nothing: unknown')
  FROM test.result(4, 'APPROVED', processor_id => 'T3', next_try_ms => 0) AS r;
SELECT is((SELECT concat(processor_id, authorisation_code, approved_minor) FROM payment.attempt
            WHERE ref = test.ref(4)), '', 'nothing of it is kept');
SELECT is((SELECT note FROM payment.event WHERE attempt = test.ref(4) AND to_state = 'UNKNOWN'),
          '000 the processor named another attempt', 'but it is told');
SELECT is((SELECT epoch FROM payment.due('gw-2', 10, 0, 1)), 2, 'the resolver asks');
SELECT is((r).applied || ' ' || (r).state || ' ' || (r).id_taken, 'true REVIEW true',
          'and hears the same: a person''s matter')
  FROM test.result(4, 'APPROVED', 2, 'gw-2', processor_id => 'T3', next_try_ms => 0) AS r;
SELECT is((SELECT epoch FROM payment.due('gw-2', 10, 0, 1)), 3, 'still watched');
SELECT is((r).state || ' ' || (r).id_taken, 'APPROVED false', 'until it is found by its own id')
  FROM test.result(4, 'APPROVED', 3, 'gw-2', processor_id => 'T4') AS r;

-- an unclear void is sent once more
SELECT test.follow(5, 4, 'VOID');
SELECT test.result(5, 'UNKNOWN', next_try_ms => 0, horizon_ms => 0);
SELECT is((SELECT past_horizon FROM payment.due('gw-2', 10, 0, 1)), true, 'past its horizon');
SELECT is(payment.void_repeat(test.ref(5), 'gw-1', 1, 60000), false, 'a fenced one may not');
SELECT is(payment.void_repeat(test.ref(5), 'gw-2', 2, 60000), true, 'its holder may');
SELECT is((SELECT note FROM payment.event WHERE attempt = test.ref(5) ORDER BY number DESC LIMIT 1),
          'sent again', 'that is in its story');
SELECT is((SELECT absent_for_ms FROM payment.attempt_absent(test.ref(5), 'gw-2', 2, 0)), NULL,
          'its horizon begins anew');
SELECT is((test.result(5, 'DECLINED', 2, 'gw-2')).state, 'DECLINED', 'and it is found declined');
SELECT is(payment.void_repeat(test.ref(5), 'gw-2', 2, 60000), false, 'then no more');

-- what is being sent for too long counts as unclear
SELECT test.sale(6, 100);
SELECT is((SELECT unknown FROM payment.counts()), 0::bigint, 'being sent');
SELECT test.force(6, $$created_at = now() - interval '3 minutes'$$);
SELECT is((SELECT unknown FROM payment.counts()), 1::bigint, 'for longer than any send takes');
SELECT test.result(6, 'APPROVED');

-- the day's close finds standing what was told as not charged
SELECT test.sale(7, 100), test.sale(8, 100), test.sale(9, 100);
SELECT test.result(7, 'DECLINED'), test.result(8, 'REFUSED'), test.result(9, 'APPROVED');
INSERT INTO books.processor_item (location, day, run, part, processor, account, processor_id,
                                  reference, kind, result, amount_minor, last_four, follows, batch,
                                  created)
SELECT 'MIA', '2026-01-01', '00000000-0000-0000-0000-000000000000', 0, 'clearent', 'main', i.id,
       i.ref, i.kind, i.result, 100, '1111', i.follows, '', ''
  FROM (VALUES ('P7', test.ref(7), 'SALE', 'APPROVED', ''),
               ('P8', test.ref(8), 'SALE', 'APPROVED', ''), ('P8V', '', 'VOID', 'APPROVED', 'P8'),
               ('T9', test.ref(9), 'SALE', 'APPROVED', ''), ('P2', test.ref(2), 'SALE', 'DECLINED', ''))
       AS i (id, ref, kind, result, follows);
SELECT is(payment.close_take_back('MIA', '2026-01-01', '00000000-0000-0000-0000-000000000000'),
          1::bigint, 'one stands: neither voided nor ours to keep');
SELECT is((SELECT outcome FROM payment.answer(NULL, NULL, 'pay_7', NULL)), 'PENDING', 'it is taken back');
SELECT is(test.state(8) || ' ' || test.state(9) || ' ' || test.state(2), 'REFUSED APPROVED REVERSED',
          'the others are as they were');
SELECT is((SELECT ref || ' ' || processor_id FROM payment.due('gw-2', 10, 0, 1)),
          test.ref(7) || ' P7', 'due at once, by its id');
SELECT is((b).outcome || ' ' || (b).kind || ' ' || (b).follows, 'MINE VOID P7', 'by a void')
  FROM payment.reversal_begin(repeat('R', 26), 'gw-2', test.ref(7), 3, 'P7', NULL) AS b;
SELECT is((r).applied, false, 'whoever held it before is fenced') FROM test.result(7, 'APPROVED') AS r;
SELECT payment.attempt_result(repeat('R', 26), 'gw-2', 1, 'APPROVED', 'PV', NULL, NULL, NULL, NULL,
                              NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'test');
SELECT is((test.result(7, 'REVERSED', 3, 'gw-2')).state, 'REVERSED', 'and reversed');
SELECT is(payment.attempt_found_standing(test.ref(7), 'P7'), false,
          'what was taken back is not taken back again');

-- an instance that died
SELECT test.sale(10, 100);
SELECT test.follow(12, 11, 'VOID') FROM test.approved(11, 500);
SELECT is_empty($$SELECT * FROM payment.due('gw-2', 10, 60000, 1000000)$$,
                'what a living instance is sending is its own');
SELECT results_eq($$SELECT id FROM payment.instance_others('gw-2')$$, ARRAY['gw-1'],
                  'the others that have not ended');
SELECT is(payment.instance_end('gw-1'), true, 'gw-1 is proved dead');
SELECT is(payment.instance_end('gw-1'), false, 'once');
SELECT is((SELECT detail ->> 'taken_over' FROM audit.log WHERE act = 'instance.end'), '2',
          'the takeover is in the audit log');
SELECT results_eq($$SELECT ref, kind, state, epoch FROM payment.due('gw-2', 10, 60000, 1000000) ORDER BY ref$$,
                  $$VALUES (test.ref(10), 'SALE', 'UNKNOWN', 2), (test.ref(12), 'VOID', 'UNKNOWN', 2)$$,
                  'what it was sending is unknown and taken over');
SELECT is((SELECT horizon_at > now() + interval '50 seconds' FROM payment.attempt
            WHERE ref = test.ref(10)), true, 'its horizon runs from the takeover');
SELECT is((test.sale(13, 100, holder => 'gw-1')).code, 'instance_ended',
          'the dead instance begins nothing more');
SELECT is((test.sale(10, 100)).outcome, 'EXISTS', 'nor sends what it had begun');
SELECT is((test.result(10, 'APPROVED')).applied, false, 'nor records');
SELECT is((test.follow(14, 11, 'REFUND', holder => 'gw-1')).code, 'instance_ended', 'nor refunds');
SELECT is(payment.instance_start('gw-1', 'host', 'boot', 1, 'start'), false,
          'and never lives again under its name');

-- a processor that answers again
SELECT test.result(10, 'UNKNOWN', 2, 'gw-2', next_try_ms => 3600000);
SELECT is(payment.wake('clearent', 'main'), 1::bigint,
          'what waits is due at once; what a resolver is at is not');
SELECT is(payment.wake('clearent', 'other'), 0::bigint, 'another account''s is not');

-- a gatewayd that starts: nobody remembers which processors failed
SELECT test.result(10, 'REVIEW', 3, 'gw-2', next_try_ms => 3600000)
  FROM payment.due('gw-2', 10, 60000, 1000000) WHERE ref = test.ref(10);
SELECT is(payment.wake(NULL, NULL), 1::bigint, 'at any processor; in REVIEW too');
SELECT is(payment.instance_end('gw-2'), true, 'the one that had claimed the void dies');
SELECT is(payment.wake(NULL, NULL), 0::bigint, 'what it had claimed is due already');

-- a claim whose answer was lost, and a resolver that died with its claim
SELECT payment.instance_start('gw-4', 'host', 'boot', 4, '4');
SELECT test.sale(20, 100, holder => 'gw-4');
SELECT test.result(20, 'UNKNOWN', 1, 'gw-4', next_try_ms => 0, horizon_ms => 60000);
CREATE VIEW test.due_20 AS
    SELECT next_try_at <= clock_timestamp() AS due FROM payment.attempt WHERE ref = test.ref(20);
SELECT isnt_empty($$SELECT * FROM payment.due('gw-4', 100, 60000, 1000000) WHERE ref = test.ref(20)$$, 'claimed');
SELECT is((SELECT due FROM test.due_20), false, 'for two minutes it is nobody else''s');
SELECT is(payment.claims_drop('gw-1'), 0::bigint, 'others drop nothing of it');
SELECT ok(payment.claims_drop('gw-4') > 0, 'a claim that may have been made is dropped');
SELECT is((SELECT due FROM test.due_20), true, 'and due again at once');
SELECT is((SELECT epoch FROM payment.due('gw-4', 100, 60000, 1000000) WHERE ref = test.ref(20)), 3,
          'the next claim fences what was done under the lost one');
SELECT payment.instance_start('gw-5', 'host', 'boot', 5, '5');
SELECT payment.instance_end('gw-4');
SELECT is((SELECT due FROM test.due_20), true, 'what a dead resolver had claimed is due at once');
SELECT is((SELECT epoch FROM payment.due('gw-5', 100, 60000, 1000000) WHERE ref = test.ref(20)), 4,
          'and taken over');
SELECT is_empty('SELECT * FROM payment.event_verify()', 'all stories are whole');
SELECT * FROM finish();
ROLLBACK;
