-- The vault's promises that PostgreSQL keeps by itself: no nonce twice, no second reveal, no reveal
-- without an attempt that is being sent, no rights on tables, no card of another customer.
BEGIN;
SELECT plan(59);

-- A payment of each sort, with ref and card_ref told apart by one letter.
INSERT INTO books.customer (customer, name) VALUES ('C-1', 'One'), ('C-2', 'Two');
CREATE FUNCTION pg_temp.attempt(p_letter text, p_card_ref text, p_state text, p_kind text,
                                p_customer text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment.payment (id, location, customer, kind, amount_minor, currency, entry,
                                 card_ref, brand, last_four, expiry, pos, created_at)
    VALUES ('pay_' || repeat(p_letter, 26), 'L1', p_customer,
            CASE p_kind WHEN 'AUTH' THEN 'AUTH' ELSE 'SALE' END, 8000, 'USD', 'KEYED', p_card_ref,
            'VISA', '4242', '1230', 'pos', now());
    INSERT INTO payment.attempt (ref, payment, kind, scope, key, fingerprint, amount_minor,
                                 currency, state, holder, processor, account, created_at)
    VALUES (repeat(p_letter, 26), 'pay_' || repeat(p_letter, 26), p_kind, 'test', p_letter, 'f',
            8000, 'USD', 'SENDING', 'h', 'clearent', 'a', now());
    IF p_state <> 'SENDING' THEN
        UPDATE payment.attempt SET state = p_state WHERE ref = repeat(p_letter, 26);
    END IF;
END $$;
CREATE FUNCTION pg_temp.token(p_letter text) RETURNS text LANGUAGE sql AS
    $$ SELECT 'tok_' || repeat(p_letter, 26) $$;
CREATE FUNCTION pg_temp.nonce(p_number int) RETURNS bytea LANGUAGE sql AS
    $$ SELECT decode(lpad(to_hex(p_number), 24, '0'), 'hex') $$;
CREATE FUNCTION pg_temp.print(p_number int) RETURNS bytea LANGUAGE sql AS
    $$ SELECT decode(lpad(to_hex(p_number), 64, '0'), 'hex') $$;
-- Stores a card at the reveal of the customer's payment P (of C-1) or Q (of C-2).
CREATE FUNCTION pg_temp.put(p_token text, p_customer text, p_print int, p_nonce int,
                            p_request text DEFAULT 'save')
    RETURNS TABLE (outcome text, stored text) LANGUAGE sql AS $$
    SELECT * FROM vault.card_put(repeat(CASE p_customer WHEN 'C-2' THEN 'Q' ELSE 'P' END, 26),
                                 p_request, p_token, p_customer, pg_temp.print(p_print), 1,
                                 pg_temp.nonce(p_nonce), decode(repeat('ab', 128), 'hex'), 'VISA',
                                 '4242', '1230')
$$;
CREATE FUNCTION pg_temp.reveal(p_letter text, p_card_ref text, p_token text, p_request text)
    RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(why, outcome)
      FROM vault.reveal_grant(repeat(p_letter, 26), p_card_ref, p_token, p_request)
$$;

-- Data keys
SELECT is_empty('SELECT * FROM vault.data_key_list()', 'a new vault has no key');
SELECT results_eq(
    $$ SELECT kid, kek FROM vault.data_key_create(0, 'vault-kek-1', decode(repeat('01', 40), 'hex'),
                                                  decode(repeat('02', 16), 'hex')) $$,
    $$ VALUES (1, 'vault-kek-1') $$, 'the first key is number 1');
SELECT results_eq(
    $$ SELECT kid, wrapped FROM vault.data_key_create(0, 'vault-kek-1',
           decode(repeat('03', 40), 'hex'), decode(repeat('04', 16), 'hex')) $$,
    $$ VALUES (1, decode(repeat('01', 40), 'hex')) $$,
    'a second vaultd gets the key that is there, and its own is dropped');
SELECT is((SELECT granted FROM vault.seal_reserve(1, 10, 25)), 10::bigint, 'seals are set aside');
SELECT is((SELECT granted FROM vault.seal_reserve(1, 10, 25)), 10::bigint, 'and again');
SELECT is((SELECT granted FROM vault.seal_reserve(1, 10, 25)), 5::bigint, 'only up to the cap');
SELECT is((SELECT granted FROM vault.seal_reserve(1, 10, 25)), 0::bigint, 'a used up key gives none');
SELECT is((SELECT granted FROM vault.seal_reserve(1, 300000000, 300000000)), 268435456::bigint - 25,
          'no cap is above 2^28');
SELECT is((SELECT granted FROM vault.seal_reserve(2, 10, 25)), 0::bigint, 'an unknown key gives none');
SELECT throws_ok('UPDATE vault.data_key SET seals_reserved = seals_reserved + 1', '23514', NULL,
                 'the table itself refuses seals above 2^28');
SELECT is((SELECT kid FROM vault.data_key_create(1, 'vault-kek-1', decode(repeat('05', 40), 'hex'),
                                                 decode(repeat('06', 16), 'hex'))), 2,
          'the next key is made after a used up one');
SELECT throws_ok($$ SELECT vault.data_key_create(2, 'vault-kek-1', decode(repeat('05', 40), 'hex'),
                                                 decode(repeat('06', 16), 'hex')) $$,
                 '23505', NULL, 'one wrapped key is not stored as two');
UPDATE vault.data_key SET seals_reserved = 0 WHERE kid = 1;
SELECT is((SELECT granted FROM vault.seal_reserve(1, 10, 25)), 0::bigint,
          'a key that has a successor seals no more');

-- Stored cards
SELECT pg_temp.attempt('P', 'hold_p', 'SENDING', 'SALE', 'C-1');
SELECT pg_temp.attempt('Q', 'hold_q', 'SENDING', 'SALE', 'C-2');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('A'), 'C-1', 1, 1) $$,
                  $$ VALUES ('NOT_REVEALED', NULL::text) $$,
                  'a card is not stored before its payment was given it');
SELECT is(pg_temp.reveal('P', 'hold_p', NULL, 'save'), 'GRANTED', 'a payment is given its card');
SELECT is(pg_temp.reveal('Q', 'hold_q', NULL, 'save'), 'GRANTED', 'and another its own');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('A'), 'C-1', 1, 1, 'other') $$,
                  $$ VALUES ('NOT_REVEALED', NULL::text) $$,
                  'it is stored by the asking that was granted, and no other');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('A'), 'C-1', 1, 1) $$,
                  $$ VALUES ('STORED', pg_temp.token('A')) $$, 'a card is stored');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('A'), 'C-1', 1, 1) $$,
                  $$ VALUES ('STORED', pg_temp.token('A')) $$,
                  'the same asked again after a lost commit is the same card');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('B'), 'C-1', 1, 2) $$,
                  $$ VALUES ('OTHER', pg_temp.token('A')) $$,
                  'the same card of the same customer has the same token');
SELECT is((SELECT nonce FROM vault.card WHERE token = pg_temp.token('A')), pg_temp.nonce(1),
          'and what was sealed for another token was not stored');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('A'), 'C-1', 1, 3) $$,
                  $$ VALUES ('STORED', pg_temp.token('A')) $$, 'sealed for its token it is renewed');
SELECT is((SELECT nonce FROM vault.card WHERE token = pg_temp.token('A')), pg_temp.nonce(3),
          'with the new nonce');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('C'), 'C-2', 1, 4) $$,
                  $$ VALUES ('STORED', pg_temp.token('C')) $$, 'another customer has another token');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('D'), 'C-3', 9, 5) $$,
                  $$ VALUES ('NOT_REVEALED', NULL::text) $$,
                  'nor for a customer who is not the payment''s');
SELECT results_eq('SELECT attempt, token FROM vault.saved ORDER BY attempt',
                  $$ VALUES (repeat('P', 26), pg_temp.token('A')),
                            (repeat('Q', 26), pg_temp.token('C')) $$,
                  'the token is kept with the attempt, for its answer');
SELECT throws_ok($$ SELECT * FROM pg_temp.put(pg_temp.token('D'), 'C-1', 2, 3) $$, '23505', NULL,
                 'a nonce is refused twice under one key');
SELECT throws_ok($$ UPDATE vault.card SET nonce = pg_temp.nonce(3)
                     WHERE token = pg_temp.token('C') $$, '23505', NULL,
                 'also by an update');
SELECT throws_ok($$ SELECT * FROM pg_temp.put('1234567890123456', 'C-1', 3, 6) $$, '23514', NULL,
                 'a token is never a number');
SELECT results_eq($$ SELECT * FROM vault.card_find(pg_temp.token('A'), 'C-1') $$,
                  $$ VALUES ('VISA', '4242', '1230') $$, 'a customer''s card is found');
SELECT is_empty($$ SELECT * FROM vault.card_find(pg_temp.token('A'), 'C-2') $$,
                'not by another customer');

-- Reveals
SELECT pg_temp.attempt('E', 'hold_1', 'SENDING', 'SALE', NULL);
SELECT pg_temp.attempt('F', pg_temp.token('A'), 'SENDING', 'AUTH', 'C-1');
SELECT pg_temp.attempt('G', pg_temp.token('A'), 'SENDING', 'SALE', 'C-2');
SELECT pg_temp.attempt('H', 'hold_2', 'UNKNOWN', 'SALE', NULL);
SELECT pg_temp.attempt('J', 'hold_3', 'SENDING', 'REFUND', NULL);
SELECT pg_temp.attempt('K', 'hold_4', 'SENDING', 'SALE', 'C-1');

SELECT is(pg_temp.reveal('Z', 'hold_1', NULL, 'ask'), 'attempt_not_sending',
          'no reveal without an attempt');
SELECT is(pg_temp.reveal('H', 'hold_2', NULL, 'ask'), 'attempt_not_sending',
          'none for an attempt whose outcome is unknown');
SELECT is(pg_temp.reveal('J', 'hold_3', NULL, 'ask'), 'attempt_not_sending', 'none for a refund');
SELECT is(pg_temp.reveal('E', 'hold_2', NULL, 'ask'), 'card_of_other_payment',
          'none of another payment''s card');
SELECT is(pg_temp.reveal('G', pg_temp.token('A'), pg_temp.token('A'), 'ask'), 'card_unknown',
          'none of another customer''s card');
SELECT is(pg_temp.reveal('K', 'hold_4', pg_temp.token('Y'), 'ask'), 'card_unknown',
          'none of a token that is not there');
SELECT is((SELECT count(*) FROM vault.reveal WHERE request <> 'save'), 0::bigint,
          'a refused reveal leaves no row');
SELECT is((SELECT row(kid, nonce, ciphertext) FROM vault.reveal_grant(repeat('G', 26),
               pg_temp.token('A'), pg_temp.token('A'), 'ask'))::text, '(,,)',
          'and gives no sealed row');
SELECT is(pg_temp.reveal('E', 'hold_1', NULL, 'ask_1'), 'GRANTED', 'a typed card is revealed');
SELECT is(pg_temp.reveal('E', 'hold_1', NULL, 'ask_1'), 'GRANTED',
          'the same asking again after a lost commit is granted');
SELECT is(pg_temp.reveal('E', 'hold_1', NULL, 'ask_2'), 'already_revealed',
          'a second asking is refused');
SELECT results_eq(
    $$ SELECT outcome, payment, token, customer, kid, nonce, expiry
         FROM vault.reveal_grant(repeat('F', 26), pg_temp.token('A'), pg_temp.token('A'), 'a') $$,
    $$ VALUES ('GRANTED', 'pay_' || repeat('F', 26), pg_temp.token('A'), 'C-1', 1,
               pg_temp.nonce(3), '1230') $$, 'a stored card comes sealed');
SELECT is((SELECT row(why, kid, nonce, ciphertext) FROM vault.reveal_grant(repeat('F', 26),
               pg_temp.token('A'), pg_temp.token('A'), 'b'))::text, '(already_revealed,,,)',
          'and not a second time');
SELECT is((SELECT nonce FROM vault.reveal_grant(repeat('K', 26), 'hold_4', pg_temp.token('A'), 'a')),
          pg_temp.nonce(3), 'a hold''s stored card comes too');
SELECT throws_ok('UPDATE vault.reveal SET request = ''x''', 'KP002', NULL,
                 'the record of reveals is never changed');
SELECT throws_ok('DELETE FROM vault.reveal', 'KP002', NULL, 'nor removed');

-- A deleted card can't be opened or used
SELECT throws_ok($$ UPDATE vault.card SET deleted_at = now() WHERE token = pg_temp.token('C') $$,
                 '23514', NULL, 'a deleted card may not keep its ciphertext');
UPDATE vault.card SET deleted_at = now(), fingerprint = NULL, kid = NULL, nonce = NULL,
       ciphertext = NULL WHERE token = pg_temp.token('A');
SELECT is_empty($$ SELECT * FROM vault.card_find(pg_temp.token('A'), 'C-1') $$,
                'a deleted card is not found');
SELECT pg_temp.attempt('M', pg_temp.token('A'), 'SENDING', 'SALE', 'C-1');
SELECT is(pg_temp.reveal('M', pg_temp.token('A'), pg_temp.token('A'), 'a'), 'card_unknown',
          'nor revealed');
SELECT results_eq($$ SELECT * FROM pg_temp.put(pg_temp.token('N'), 'C-1', 1, 7) $$,
                  $$ VALUES ('STORED', pg_temp.token('N')) $$, 'saved again it has a new token');

-- What a commit waits for, when calls share a transaction
SELECT is(current_setting('synchronous_commit'), 'on', 'a durable call keeps the commit durable');
SELECT vault.commit_may_lag();
SELECT is(current_setting('synchronous_commit'), 'on', 'also when a reveal comes after it');
SELECT set_config('kometpay.durable', '', true);
SELECT vault.commit_may_lag();
SELECT is(current_setting('synchronous_commit'), 'off', 'a reveal alone doesn''t wait');
SELECT vault.commit_durably();
SELECT is(current_setting('synchronous_commit'), 'on', 'until a durable call comes after it');

-- Rights
SELECT is_empty($$
    SELECT r.rolname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN pg_roles r
     WHERE n.nspname = 'vault' AND c.relkind IN ('r', 'S', 'v')
       AND r.rolname IN ('kometpay_vaultd', 'kometpay_gatewayd', 'kometpay_settled')
       AND has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') $$,
    'no daemon has a right on a table of the vault');
SELECT set_eq($$
    SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'vault' AND has_function_privilege('kometpay_vaultd', p.oid, 'EXECUTE') $$,
    ARRAY['data_key_list', 'data_key_create', 'seal_reserve', 'card_put', 'card_find',
          'reveal_grant'], 'vaultd has its functions and no others');
SELECT is_empty($$
    SELECT r.rolname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN pg_roles r
     WHERE n.nspname = 'vault' AND r.rolname IN ('kometpay_gatewayd', 'kometpay_settled')
       AND has_function_privilege(r.oid, p.oid, 'EXECUTE') $$,
    'no other daemon has a function of the vault');
SELECT is_empty($$
    SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'vault'
       AND NOT (p.prosecdef AND p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp']) $$,
    'every function runs as the owner with a fixed search path');

SELECT * FROM finish();
ROLLBACK;
