-- The day's close of 2026-03-01 in Miami (05:00 to 05:00 UTC): each kind of difference, what cancels,
-- and that a second run changes nothing but its own result.
BEGIN;
SELECT test.open_business();
SELECT plan(69);

CREATE TABLE test.run (place serial, id uuid);
CREATE FUNCTION test.last_run() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT r.id FROM test.run r ORDER BY r.place DESC LIMIT 1
$$;
CREATE FUNCTION test.batch(batch text, state text, account text DEFAULT 'main') RETURNS void
LANGUAGE sql AS $$
    SELECT books.close_batch_put('MIA', '2026-03-01', test.last_run(), 'clearent', account, batch,
                                 state)
$$;
-- Begins a close; the batch of the day's items is closed.
CREATE FUNCTION test.begin_run() RETURNS void LANGUAGE sql AS $$
    INSERT INTO test.run (id)
        SELECT DISTINCT b.run::uuid FROM books.close_begin('MIA', '2026-03-01') AS b;
    SELECT test.batch('7', 'CLOSED');
$$;

-- Moves an attempt to an hour of the day (UTC minus 5 hours is Miami's).
CREATE FUNCTION test.at(n integer, at timestamptz) RETURNS void LANGUAGE sql AS $$
    SELECT test.force(n, format('created_at = %L, closed_at = CASE WHEN closed_at IS NULL THEN NULL'
                                ' ELSE %L::timestamptz END', at, at))
$$;

-- An item as the processor reports it, of attempt n unless said otherwise.
CREATE FUNCTION test.item(n integer, kind text, amount bigint, part integer DEFAULT 0,
                          result text DEFAULT 'APPROVED', reference text DEFAULT NULL,
                          id text DEFAULT NULL, follows text DEFAULT NULL,
                          account text DEFAULT 'main', batch text DEFAULT '7') RETURNS bigint
LANGUAGE sql AS $$
    SELECT books.close_items_put('MIA', '2026-03-01', test.last_run(), part, 'clearent', account,
        jsonb_build_array(jsonb_build_object(
            'processor_id', coalesce(id, 'T' || n), 'reference', coalesce(reference, test.ref(n)),
            'kind', kind, 'result', result, 'amount_minor', amount, 'last_four', '1111', 'follows',
            coalesce(follows, ''), 'batch', batch, 'created', '2026-03-01 12:00:00')))
$$;

-- The processor's list without an item.
CREATE FUNCTION test.unlist(id text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM books.processor_item i WHERE i.processor_id = id;
    UPDATE books.close_run r SET items = (SELECT count(*) FROM books.processor_item i
                                           WHERE i.run = r.run);
$$;

CREATE FUNCTION test.close() RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s/%s/%s %s/%s/%s net %s',
                  CASE WHEN c.balanced THEN 'balanced' ELSE 'differs' END, c.ours_count,
                  c.ours_gross_minor, c.ours_refund_minor, c.theirs_count, c.theirs_gross_minor,
                  c.theirs_refund_minor, c.net_minor)
      FROM books.close_match('MIA', '2026-03-01', test.last_run()) AS c
$$;

CREATE FUNCTION test.differences() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', d.kind, ltrim(d.attempt, 'A'), d.processor_id,
                                         coalesce(d.ours_minor::text, '-') || '/'
                                         || coalesce(d.theirs_minor::text, '-')), ', '), '')
      FROM books.close_differences('MIA', '2026-03-01', test.last_run()) AS d
$$;

-- the borders
SELECT results_eq(
    $$SELECT before_from, day_from, day_to, after_to FROM books.close_begin('MIA', '2026-03-01')$$,
    $$VALUES ('2026-03-01 03:00', '2026-03-01 05:00', '2026-03-02 05:00', '2026-03-02 07:00')$$,
    'the day runs in the location''s zone');
SELECT results_eq(
    $$SELECT day_from, day_to FROM books.close_begin('MIA', '2026-03-08')$$,
    $$VALUES ('2026-03-08 05:00', '2026-03-09 04:00')$$, 'a day of 23 hours');
SELECT throws_ok($$SELECT books.close_begin('XXX', '2026-03-01')$$, 'KP001', NULL, 'no such location');
SELECT throws_ok($$SELECT books.close_begin('MIA', '2999-03-01')$$, 'KP001', NULL,
                 'a day that has not begun');

-- in balance
SELECT test.begin_run();
SELECT is(test.close(), 'balanced 0/0/0 0/0/0 net 0', 'nothing against nothing');
SELECT test.approved(1, 1000);
SELECT test.at(1, '2026-03-01 12:00Z');
SELECT test.item(1, 'SALE', 1000);
SELECT test.follow(2, 1, 'REFUND', 200);
SELECT test.result(2, 'APPROVED');
SELECT test.at(2, '2026-03-01 13:00Z');
SELECT test.item(2, 'REFUND', 200, follows => 'T1');
SELECT test.approved(3, 500, kind => 'AUTH');
SELECT test.at(3, '2026-03-01 12:00Z');
SELECT test.item(3, 'AUTH', 500);
SELECT test.follow(4, 3, 'CAPTURE', 400);
SELECT test.result(4, 'APPROVED');
SELECT test.at(4, '2026-03-01 12:10Z');
SELECT test.item(4, 'CAPTURE', 400, follows => 'T3');
SELECT test.sale(5, 77);
SELECT test.result(5, 'DECLINED');
SELECT test.at(5, '2026-03-01 12:11Z');
SELECT test.item(5, 'SALE', 77, result => 'DECLINED');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200',
          'sale, capture and refund; authorisations and declines move nothing');
SELECT is((SELECT batches FROM books.day_close), '7', 'the batch is named');
-- a voided pair cancels on both sides
SELECT test.approved(6, 900);
SELECT test.at(6, '2026-03-01 14:00Z');
SELECT test.follow(7, 6, 'VOID');
SELECT test.result(7, 'APPROVED');
SELECT test.at(7, '2026-03-01 14:05Z');
SELECT test.item(6, 'SALE', 900);
SELECT test.item(7, 'VOID', 900, follows => 'T6');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'a voided pair cancels');
-- so does a reversed one
SELECT test.sale(8, 300);
SELECT payment.cancel_request('MIA/counter1', 'key-8', 'clerk');
SELECT test.result(8, 'APPROVED');
SELECT payment.reversal_begin(test.ref(9), 'gw-1', test.ref(8), 1, NULL, NULL);
SELECT test.result(9, 'APPROVED');
SELECT test.result(8, 'REVERSED');
SELECT test.at(8, '2026-03-01 15:00Z');
SELECT test.at(9, '2026-03-01 15:01Z');
SELECT test.item(8, 'SALE', 300);
SELECT test.item(9, 'VOID', 300, follows => 'T8');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'a reversed pair cancels');
-- a payment of another location of the same account
SELECT test.approved(10, 640, location => 'BOG');
SELECT test.at(10, '2026-03-01 15:00Z');
SELECT test.item(10, 'SALE', 640);
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200',
          'another location''s is its own close''s');

-- running again
CREATE TABLE test.before AS SELECT * FROM books.day_close;
SELECT test.approved(11, 100);
SELECT test.at(11, '2026-03-02 12:00Z');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'the next day''s changes nothing');
SELECT results_eq(
    'SELECT location, day, run, balanced, net_minor, differences FROM books.day_close',
    'SELECT location, day, run, balanced, net_minor, differences FROM test.before',
    'the same run again gives the same row');
SELECT test.begin_run();
SELECT count(*) FROM (
    SELECT books.close_items_put(i.location, i.day, test.last_run(), i.part, i.processor, i.account,
                                 jsonb_build_array(to_jsonb(i)))
      FROM (SELECT * FROM books.processor_item) AS i) AS again;
CREATE TABLE test.books_before AS
    SELECT (SELECT md5(string_agg(a::text, ' ' ORDER BY a.ref)) FROM payment.attempt a) AS attempts,
           (SELECT count(*) FROM payment.event) AS events,
           (SELECT count(*) FROM books.journal) AS journal,
           (SELECT count(*) FROM books.suspense) AS suspense;
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'a new run gives the same');
SELECT is((SELECT count(DISTINCT run) || ' ' || count(*) FROM books.processor_item), '1 10',
          'and its copies replace the old ones');
SELECT is((SELECT count(*) FROM books.day_close), 1::bigint, 'in place of the result before');
SELECT results_eq('SELECT * FROM test.books_before',
    $$SELECT (SELECT md5(string_agg(a::text, ' ' ORDER BY a.ref)) FROM payment.attempt a),
             (SELECT count(*) FROM payment.event), (SELECT count(*) FROM books.journal),
             (SELECT count(*) FROM books.suspense)$$, 'nothing else has changed');

-- each kind of difference, one at a time
SAVEPOINT balanced;
SELECT test.unlist('T1');
SELECT is(test.close(), 'differs 3/1400/200 2/400/200 net 1200', 'not at the processor');
SELECT is(test.differences(), 'MISSING_AT_PROCESSOR 1 1000/-', 'is MISSING_AT_PROCESSOR');
ROLLBACK TO balanced;
SELECT test.item(99, 'SALE', 250, reference => 'portal');
SELECT is(test.close(), 'differs 3/1400/200 4/1650/200 net 1200', 'made in the processor''s portal');
SELECT is(test.differences(), 'MISSING_HERE T99 -/250', 'is MISSING_HERE');
SELECT test.item(98, 'VOID', 250, reference => 'portal-2', follows => 'T99');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'unless it was voided there too');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET amount_minor = 999 WHERE processor_id = 'T1'$$);
SELECT test.close();
SELECT is(test.differences(), 'AMOUNT 1 T1 1000/999', 'another amount is AMOUNT');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET result = 'DECLINED' WHERE processor_id = 'T1'$$);
SELECT test.close();
SELECT is(test.differences(), 'STATUS 1 T1 1000/-', 'not approved there is STATUS');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET result = 'APPROVED' WHERE processor_id = 'T5'$$);
SELECT test.close();
SELECT is(test.differences(), 'STATUS 5 T5 77/77', 'approved there, declined here is STATUS');
ROLLBACK TO balanced;
SELECT test.item(97, 'VOID', 1000, reference => 'portal', follows => 'T1');
SELECT test.close();
SELECT is(test.differences(), 'STATUS 1 T1 1000/-', 'voided there, standing here is STATUS');
ROLLBACK TO balanced;
SELECT test.unlist('T7');
SELECT test.close();
SELECT is(test.differences(), 'STATUS 6 T6 900/900', 'voided here, standing there is STATUS');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET kind = 'REFUND' WHERE processor_id = 'T1'$$);
SELECT test.close();
SELECT is(test.differences(), 'STATUS 1 T1 1000/1000', 'another kind is STATUS');
ROLLBACK TO balanced;
SELECT test.item(1, 'SALE', 1000, id => 'T1-again');
SELECT is(test.close(), 'differs 3/1400/200 4/2400/200 net 1200', 'twice at the processor');
SELECT is(test.differences(), 'DUPLICATE 1 T1 1000/2000', 'is DUPLICATE');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET part = 1 WHERE processor_id = 'T1'$$);
SELECT test.close();
SELECT is(test.differences(), 'DATE 1 T1 1000/-', 'on the day beside is DATE');
ROLLBACK TO balanced;
SELECT test.item(11, 'SALE', 100);
SELECT test.close();
SELECT is(test.differences(), 'DATE 11 T11 -/100', 'here of the next day is DATE');
ROLLBACK TO balanced;
SELECT test.force(1, $$state = 'UNKNOWN'$$);
SELECT test.close();
SELECT is(test.differences(), 'UNRESOLVED 1 1000/-', 'an unknown outcome is UNRESOLVED');
ROLLBACK TO balanced;
SELECT test.sale(20, 10);
SELECT test.at(20, '2026-03-01 12:00Z');
SELECT is(test.close(), 'differs 3/1400/200 3/1400/200 net 1200',
          'equal totals do not balance a day with an open payment');
SELECT is(test.differences(), 'UNRESOLVED 20 10/-', 'SENDING is UNRESOLVED');
ROLLBACK TO balanced;

-- a void on a later day counts there, and the closed day keeps its result
SELECT test.approved(30, 800);
SELECT test.at(30, '2026-02-28 12:00Z');
SELECT test.follow(31, 30, 'VOID');
SELECT test.result(31, 'APPROVED');
SELECT test.at(31, '2026-03-01 09:00Z');
SELECT test.close();
SELECT is(test.differences(), 'MISSING_AT_PROCESSOR 31 800/-',
          'the void of an earlier day''s sale is looked for');
SELECT test.item(31, 'VOID', 800, follows => 'T30');
SELECT is(test.close(), 'balanced 4/1400/1000 4/1400/1000 net 400', 'and counts against its day');
ROLLBACK TO balanced;
SELECT test.follow(32, 3, 'VOID');
SELECT test.result(32, 'APPROVED');
SELECT test.at(32, '2026-03-02 12:00Z');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200',
          'voided the day after: this day''s result stays');
SELECT test.approved(33, 800);
SELECT test.at(33, '2026-02-28 12:00Z');
SELECT test.item(96, 'VOID', 800, reference => 'portal', follows => 'T33');
SELECT test.close();
SELECT is(test.differences(), 'STATUS 33 T96 800/800',
          'an earlier day''s sale that somebody voided there is STATUS');
ROLLBACK TO balanced;

-- the processor's word 'voided' of the item itself, without a row of a void
SELECT test.tamper($$UPDATE books.processor_item SET result = 'VOIDED' WHERE processor_id = 'T1'$$);
SELECT is(test.close(), 'differs 3/1400/200 2/400/200 net 1200', 'voided in the portal');
SELECT is(test.differences(), 'STATUS 1 T1 1000/-', 'is STATUS, not money');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.processor_item SET result = 'VOIDED' WHERE processor_id = 'T6'$$);
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'voided on both sides cancels');
ROLLBACK TO balanced;
SELECT test.approved(40, 600);
SELECT test.at(40, '2026-03-01 20:00Z');
SELECT test.follow(41, 40, 'VOID');
SELECT test.result(41, 'APPROVED');
SELECT test.at(41, '2026-03-02 12:00Z');
SELECT test.item(40, 'SALE', 600, result => 'VOIDED');
SELECT is(test.close(), 'balanced 4/2000/200 4/2000/200 net 1800',
          'what we voided on a later day stood at the end of this one');
ROLLBACK TO balanced;

-- the location's account is changed afterwards; another location of ours on a second account
SELECT test.tamper($$UPDATE books.location SET account = 'west' WHERE code = 'MIA'$$);
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200',
          'an old day stays as it was when the account is changed');
SELECT results_eq($$SELECT processor, account FROM books.close_begin('MIA', '2026-03-01')$$,
                  $$VALUES ('clearent', 'main'), ('clearent', 'west')$$,
                  'and both accounts are asked');
ROLLBACK TO balanced;
SELECT test.tamper($$UPDATE books.location SET account = 'west' WHERE code = 'BOG'$$);
SELECT test.approved(42, 640, location => 'BOG');
SELECT test.at(42, '2026-03-01 15:00Z');
SELECT test.item(42, 'SALE', 640, batch => '90');
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200',
          'what our second account took is not missing here');
ROLLBACK TO balanced;
SELECT is(test.item(1, 'SALE', 1000, account => 'west'), 0::bigint,
          'an item that two accounts of one merchant list is kept once');

-- batches
SELECT results_eq($$SELECT account || ' ' || batch FROM books.close_batches('MIA', '2026-03-01',
                                                                            test.last_run())$$,
                  ARRAY['main 7'], 'the batches of the day''s money are asked after');
SELECT test.batch('7', 'FAILED');
SELECT is(test.close(), 'differs 3/1400/200 3/1400/200 net 1200', 'equal items in a failed batch');
SELECT is((SELECT kind || ': ' || sentence FROM books.close_differences('MIA', '2026-03-01',
                                                                        test.last_run())),
          'BATCH: Batch 7 failed at the processor: it is to be submitted again.', 'are named');
SELECT test.batch('7', 'PENDING');
SELECT test.close();
SELECT is(test.differences(), 'BATCH -/-', 'so is a batch in process');
SELECT test.batch('7', 'OPEN');
SELECT test.close();
SELECT is(test.differences(), 'BATCH -/-', 'and one that is open though the day is over');
SELECT test.tamper($$UPDATE books.close_run SET day_over = false$$);
SELECT is(test.close(), 'balanced 3/1400/200 3/1400/200 net 1200', 'before its end it may be open');
SELECT is((SELECT day_over FROM books.day_close), false, 'and the result says that it is not over');
SELECT test.batch('7', 'FAILED');
SELECT test.close();
SELECT is(test.differences(), 'BATCH -/-', 'but not failed');
DELETE FROM books.processor_batch;
SELECT test.close();
SELECT is(test.differences(), 'BATCH -/-', 'nor unknown to the processor');
ROLLBACK TO balanced;
SELECT test.batch('6', 'FAILED');
SELECT test.close();
SELECT is(test.differences(), 'BATCH -/-', 'the batch that the run was told to close is looked at');
ROLLBACK TO balanced;

-- two runs of one day
CREATE FUNCTION test.old_run() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT r.id FROM test.run r ORDER BY r.place DESC OFFSET 1 LIMIT 1
$$;
SELECT test.begin_run();
SELECT throws_ok($$SELECT books.close_match('MIA', '2026-03-01', test.old_run())$$, 'KP001',
                 'Another close of this day was begun meanwhile; this one has ended.',
                 'a run that another overtook matches nothing');
SELECT throws_ok($$SELECT books.close_items_put('MIA', '2026-03-01', test.old_run(), 0, 'clearent',
                                                'main', '[]')$$, 'KP001', NULL, 'and puts nothing');
SELECT throws_ok($$SELECT books.close_batch_put('MIA', '2026-03-01', test.old_run(), 'clearent',
                                                'main', '7', 'CLOSED')$$, 'KP001', NULL,
                 'nor a batch');
SELECT is(test.close(), 'differs 3/1400/200 0/0/0 net 1200', 'the last one begun goes on');
ROLLBACK TO balanced;
DELETE FROM books.processor_item WHERE processor_id = 'T5';
SELECT throws_ok('SELECT test.close()', 'KP002', NULL, 'a run that lost an item is not matched');
ROLLBACK TO balanced;

-- more differences than an answer holds
SELECT count(*) FROM (SELECT test.item(1000 + n, 'SALE', 1, reference => 'portal')
                        FROM generate_series(1, 501) AS n) AS items;
SELECT test.close();
SELECT is((SELECT count(*) || ' of ' || max(total) FROM books.close_differences(
              'MIA', '2026-03-01', test.last_run())), '500 of 501', 'are counted');
ROLLBACK TO balanced;

-- the nights' days
CREATE FUNCTION test.days() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(((clock_timestamp() AT TIME ZONE 'America/New_York')::date - d.day)::text, ' '
                      ORDER BY d.day)
      FROM books.close_days('MIA') AS d
$$;
CREATE FUNCTION test.closed(days_ago integer, over boolean DEFAULT true,
                            balanced boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO books.day_close
    VALUES ('MIA', (clock_timestamp() AT TIME ZONE 'America/New_York')::date - days_ago,
            gen_random_uuid(), clock_timestamp(), over, balanced, 0, 0, 0, 0, 0, 0, 0, 'USD', '', '[]')
$$;
DELETE FROM books.day_close;
SELECT test.closed(5);
SELECT test.closed(3, false);
SELECT test.closed(2);
SELECT is(test.days(), '4 3 1', 'nights missed, a day closed before its end, and yesterday');
SELECT test.closed(4, balanced => false);
SELECT test.closed(8, balanced => false);
SELECT is(test.days(), '7 6 4 3 1', 'a week long what is not in balance');
DELETE FROM books.day_close;
SELECT is(test.days(), '1', 'yesterday before there was any close');
ROLLBACK TO balanced;
SELECT is((SELECT count(*) FROM books.close_days('MIA')), 60::bigint, 'at most 60 days back');
SELECT throws_ok($$SELECT books.close_days('XXX')$$, 'KP001', NULL, 'no such location');

-- pages
SELECT is(books.close_items_put('MIA', '2026-03-01', test.last_run(), 0, 'clearent', 'main',
    '[{"processor_id": "P1", "kind": "SALE", "result": "APPROVED", "amount_minor": 1},
      {"processor_id": "P2", "kind": "OTHER", "result": "APPROVED", "amount_minor": 1}]'), 2::bigint,
    'a page is kept');
SELECT is(books.close_items_put('MIA', '2026-03-01', test.last_run(), 1, 'clearent', 'main',
    '[{"processor_id": "P2", "kind": "OTHER", "result": "APPROVED", "amount_minor": 1},
      {"processor_id": "P3", "kind": "SALE", "result": "APPROVED", "amount_minor": 1}]'), 1::bigint,
    'an item that comes again is kept once');
SELECT * FROM finish();
ROLLBACK;
