-- The machine of states: every allowed step passes, every other is refused, final outcomes stay.
-- What is allowed is written here once more, by hand, so that a slip in the migration is seen.
BEGIN;
CREATE TABLE test.allowed AS
SELECT k.kind, split_part(s, '>', 1) AS from_state, split_part(s, '>', 2) AS to_state
  FROM (VALUES ('SALE'), ('AUTH'), ('CAPTURE'), ('VOID'), ('REFUND')) AS k (kind)
 CROSS JOIN unnest(ARRAY[
    '>SENDING', 'SENDING>APPROVED', 'SENDING>DECLINED', 'SENDING>UNKNOWN', 'SENDING>NOT_SENT',
    'SENDING>REFUSED',
    'UNKNOWN>APPROVED', 'UNKNOWN>DECLINED', 'UNKNOWN>NOT_CHARGED', 'UNKNOWN>REVIEW',
    'REVIEW>APPROVED', 'REVIEW>DECLINED', 'REVIEW>NOT_CHARGED']) AS s
UNION ALL
SELECT k.kind, split_part(s, '>', 1), split_part(s, '>', 2)
  FROM (VALUES ('SALE'), ('AUTH')) AS k (kind)
 CROSS JOIN unnest(ARRAY[
    'SENDING>REVERSING', 'UNKNOWN>REVERSING', 'UNKNOWN>REVERSED', 'REVERSING>REVERSED',
    'REVERSING>NOT_CHARGED', 'REVERSING>REVIEW', 'NOT_CHARGED>REVERSING', 'REVIEW>REVERSING',
    'REVIEW>REVERSED', 'DECLINED>REVERSING', 'NOT_SENT>REVERSING', 'REFUSED>REVERSING',
    'REVERSED>REVERSING']) AS s
UNION ALL
SELECT k.kind, 'NOT_CHARGED', 'APPROVED'
  FROM (VALUES ('CAPTURE'), ('VOID'), ('REFUND')) AS k (kind);

CREATE FUNCTION test.step_error(p_kind text, p_from text, p_to text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment.attempt (ref, payment, kind, scope, key, fingerprint, amount_minor, currency,
                                 state, holder, processor, account, created_at)
    VALUES (test.ref(99), 'pay_99', p_kind, 's', 'k', 'f', 1, 'USD',
            CASE p_from WHEN '' THEN p_to ELSE 'SENDING' END, 'gw-1', 'clearent', 'main', now());
    IF p_from <> '' THEN
        PERFORM test.force(99, format('state = %L', p_from));
        UPDATE payment.attempt SET state = p_to WHERE ref = test.ref(99);
    END IF;
    RAISE EXCEPTION 'rolled back' USING ERRCODE = 'KP999';
EXCEPTION
    WHEN SQLSTATE 'KP999' THEN RETURN NULL;
    WHEN SQLSTATE 'KP002' THEN RETURN SQLERRM;
END
$$;

SELECT test.open_business();
SELECT plan(567);
SELECT is((SELECT count(*) FROM test.allowed), 94::bigint, 'the contract has 94 steps');
SELECT results_eq(
    'SELECT kind, from_state, to_state FROM payment.transition ORDER BY 1, 2, 3',
    'SELECT kind, from_state, to_state FROM test.allowed ORDER BY 1, 2, 3',
    'payment.transition is the contract');

-- 5 kinds, from each of 11 states into each other one, and into one that doesn't exist
SELECT CASE
           WHEN a.kind IS NOT NULL THEN
               is(test.step_error(s.kind, s.from_state, s.to_state), NULL,
                  format('%s goes from %s to %s', s.kind, s.from_state, s.to_state))
           ELSE
               isnt(test.step_error(s.kind, s.from_state, s.to_state), NULL,
                    format('%s never goes from %s to %s', s.kind, s.from_state, s.to_state))
       END
  FROM (SELECT k.kind, f.state AS from_state, t.state AS to_state
          FROM (VALUES ('SALE'), ('AUTH'), ('CAPTURE'), ('VOID'), ('REFUND')) AS k (kind)
         CROSS JOIN (VALUES (''), ('SENDING'), ('APPROVED'), ('DECLINED'), ('UNKNOWN'),
                            ('NOT_SENT'), ('REFUSED'), ('NOT_CHARGED'), ('REVERSING'),
                            ('REVERSED'), ('REVIEW')) AS f (state)
         CROSS JOIN (VALUES ('SENDING'), ('APPROVED'), ('DECLINED'), ('UNKNOWN'), ('NOT_SENT'),
                            ('REFUSED'), ('NOT_CHARGED'), ('REVERSING'), ('REVERSED'),
                            ('REVIEW'), ('PAID')) AS t (state)
         WHERE f.state <> t.state) AS s
  LEFT JOIN test.allowed a USING (kind, from_state, to_state)
 ORDER BY s.kind, s.from_state, s.to_state;

-- what was once to be taken back never stands again
SELECT test.sale(2, 100);
SELECT test.result(2, 'REVERSING');
SELECT is((SELECT must_not_stand FROM payment.attempt WHERE ref = test.ref(2)), true,
          'entering REVERSING says that it must not stand');
UPDATE payment.attempt SET state = 'REVIEW' WHERE ref = test.ref(2);
SELECT throws_ok($$UPDATE payment.attempt SET state = 'APPROVED' WHERE ref = test.ref(2)$$, 'KP002',
                 NULL, 'from REVIEW it can not be approved any more');
SELECT throws_ok($$UPDATE payment.attempt SET must_not_stand = false WHERE ref = test.ref(2)$$,
                 'KP002', NULL, 'nor is that ever forgotten');
SELECT is((SELECT state_at > now() FROM payment.attempt WHERE ref = test.ref(2)), true,
          'each state counts from its own beginning');

SELECT test.approved(1, 100);
SELECT throws_ok($$UPDATE payment.attempt SET amount_minor = 1 WHERE ref = test.ref(1)$$, 'KP002',
                 NULL, 'the amount asked for never changes');
SELECT throws_ok($$UPDATE payment.attempt SET epoch = 0 WHERE ref = test.ref(1)$$, 'KP002', NULL,
                 'the epoch never goes back');
SELECT throws_ok($$DELETE FROM payment.attempt WHERE ref = test.ref(1)$$, 'KP002', NULL,
                 'an attempt that has begun is never removed');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT throws_ok($$TRUNCATE payment.attempt CASCADE$$, 'KP002', NULL, 'nor are all of them');
SELECT throws_ok($$INSERT INTO payment.transition VALUES ('SALE', 'DECLINED', 'APPROVED', '')$$,
                 'KP002', NULL, 'the machine itself is fixed');
SELECT throws_ok($$DELETE FROM payment.transition$$, 'KP002', NULL, 'and nothing is taken from it');
SELECT * FROM finish();
ROLLBACK;
