-- Recovery: claims, epochs, instances, horizons.
BEGIN;
SELECT test.open_business();
SELECT plan(53);

-- an outcome that is unclear
SELECT test.sale(1, 100);
SELECT is((r).applied || ' ' || (r).state, 'true UNKNOWN', 'no clear answer')
  FROM test.result(1, 'UNKNOWN', next_try_ms => 0, horizon_ms => 60000) AS r;
SELECT is((SELECT tries FROM payment.attempt WHERE ref = test.ref(1)), 0, 'no try yet');
CREATE TABLE test.claim AS SELECT * FROM payment.due('gw-2', 10, 60000);
SELECT is((SELECT ref || ' ' || state || ' ' || epoch || ' ' || past_horizon || ' ' || location
             FROM test.claim), test.ref(1) || ' UNKNOWN 2 false MIA', 'a resolver claims it');
SELECT ok((SELECT age_ms >= closed_ms AND closed_ms >= 0 AND absent_for_ms IS NULL
             FROM test.claim), 'with its ages');
SELECT is_empty($$SELECT * FROM payment.due('gw-1', 10, 60000)$$, 'nobody else does');
SELECT is((r).applied || ' ' || (r).state, 'false UNKNOWN', 'the first sender is fenced')
  FROM test.result(1, 'APPROVED') AS r;
SELECT is((test.result(1, 'APPROVED', 2, 'gw-1')).applied, false, 'so is another holder');
SELECT is((test.result(1, 'APPROVED', 1, 'gw-2')).applied, false, 'and an older epoch');
SELECT is((SELECT count(*) FROM payment.attempt_absent(test.ref(1), 'gw-2', 2)
            WHERE absent_for_ms IS NOT NULL), 0::bigint, 'before the horizon absence is no proof');
SELECT test.force(1, $$horizon_at = now() - interval '1 second'$$);
SELECT is((SELECT absent_for_ms >= 0 FROM payment.attempt_absent(test.ref(1), 'gw-2', 2)), true,
          'after it the first not-found is noted');
SELECT is((SELECT absent_for_ms FROM payment.attempt_absent(test.ref(1), 'gw-1', 2)), NULL,
          'but not for a fenced one');
SELECT is((r).applied || ' ' || (r).state, 'true UNKNOWN', 'still unknown: asked again later')
  FROM test.result(1, 'UNKNOWN', 2, 'gw-2', next_try_ms => 0) AS r;
SELECT is((SELECT tries FROM payment.attempt WHERE ref = test.ref(1)), 1, 'a try is counted');
SELECT is((SELECT count(*) FROM payment.event WHERE payment = 'pay_1'), 2::bigint,
          'that is no step of the story');
SELECT is((SELECT past_horizon || ' ' || (absent_for_ms >= 0) || ' ' || epoch
             FROM payment.due('gw-2', 10, 1)), 'true true 3', 'the next claim knows both');
SELECT is((test.result(1, 'NOT_CHARGED', 3, 'gw-2', next_try_ms => 0)).state, 'NOT_CHARGED',
          'given up, and watched');
SELECT is((SELECT absent_at FROM payment.attempt WHERE ref = test.ref(1)), NULL,
          'another state begins without a not-found');
SELECT is((SELECT state FROM payment.due('gw-2', 10, 1)), 'NOT_CHARGED', 'the watch goes on');
SELECT is((test.result(1, 'REVERSING', 4, 'gw-2', processor_id => 'T1', next_try_ms => 0)).state,
          'REVERSING', 'found late: it is taken back');
SELECT is((SELECT outcome FROM payment.answer(NULL, NULL, 'pay_1', NULL)), 'PENDING', 'meanwhile PENDING');
SELECT is((SELECT unknown || ' ' || review FROM payment.counts()), '1 0', 'it counts as unknown');
SELECT ok((SELECT oldest_unknown_ms >= 0 FROM payment.counts()), 'with the age of the oldest');
SELECT is((SELECT epoch FROM payment.due('gw-2', 10, 1)), 5, 'claimed');
SELECT is((test.result(1, 'REVERSED', 5, 'gw-2')).state, 'REVERSED', 'reversed');
SELECT is((SELECT next_try_at FROM payment.attempt WHERE ref = test.ref(1)), NULL,
          'a final outcome is not tried again');
SELECT is((test.result(1, 'APPROVED', 5, 'gw-2')).applied, false, 'nothing leaves a final outcome');
SELECT is(test.state(1), 'REVERSED', 'it stays');

-- an instance that died
SELECT test.sale(10, 100);
SELECT test.follow(12, 11, 'VOID') FROM test.approved(11, 500);
SELECT is_empty($$SELECT * FROM payment.due('gw-2', 10, 60000)$$,
                'what a living instance is sending is its own');
SELECT results_eq($$SELECT id FROM payment.instance_others('gw-2')$$, ARRAY['gw-1'],
                  'the others that have not ended');
SELECT is(payment.instance_end('gw-1'), true, 'gw-1 is proved dead');
SELECT is(payment.instance_end('gw-1'), false, 'once');
SELECT is((SELECT detail ->> 'taken_over' FROM audit.log WHERE act = 'instance.end'), '2',
          'the takeover is in the audit log');
SELECT results_eq($$SELECT ref, kind, state, epoch FROM payment.due('gw-2', 10, 60000) ORDER BY ref$$,
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
  FROM payment.due('gw-2', 10, 60000) WHERE ref = test.ref(10);
SELECT is(payment.wake(NULL, NULL), 1::bigint, 'at any processor; in REVIEW too');
SELECT is(payment.instance_end('gw-2'), true, 'the one that had claimed the void dies');
SELECT is(payment.wake(NULL, NULL), 0::bigint, 'what it had claimed is due already');

-- a claim whose answer was lost, and a resolver that died with its claim
SELECT payment.instance_start('gw-4', 'host', 'boot', 4, '4');
SELECT test.sale(20, 100, holder => 'gw-4');
SELECT test.result(20, 'UNKNOWN', 1, 'gw-4', next_try_ms => 0, horizon_ms => 60000);
CREATE VIEW test.due_20 AS
    SELECT next_try_at <= clock_timestamp() AS due FROM payment.attempt WHERE ref = test.ref(20);
SELECT isnt_empty($$SELECT * FROM payment.due('gw-4', 100, 60000) WHERE ref = test.ref(20)$$, 'claimed');
SELECT is((SELECT due FROM test.due_20), false, 'for two minutes it is nobody else''s');
SELECT is(payment.claims_drop('gw-1'), 0::bigint, 'others drop nothing of it');
SELECT ok(payment.claims_drop('gw-4') > 0, 'a claim that may have been made is dropped');
SELECT is((SELECT due FROM test.due_20), true, 'and due again at once');
SELECT is((SELECT epoch FROM payment.due('gw-4', 100, 60000) WHERE ref = test.ref(20)), 3,
          'the next claim fences what was done under the lost one');
SELECT payment.instance_start('gw-5', 'host', 'boot', 5, '5');
SELECT payment.instance_end('gw-4');
SELECT is((SELECT due FROM test.due_20), true, 'what a dead resolver had claimed is due at once');
SELECT is((SELECT epoch FROM payment.due('gw-5', 100, 60000) WHERE ref = test.ref(20)), 4,
          'and taken over');
SELECT is_empty('SELECT * FROM payment.event_verify()', 'all stories are whole');
SELECT * FROM finish();
ROLLBACK;
