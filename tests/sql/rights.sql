-- Each daemon's role executes its own functions and nothing else, and touches no table.
BEGIN;
CREATE TABLE test.expected (role text, functions text[]);
INSERT INTO test.expected VALUES
    ('kometpay_gatewayd', ARRAY['payment.answer', 'payment.answer_of', 'payment.attempt_absent',
        'payment.attempt_begin', 'payment.attempt_result', 'payment.cancel_request',
        'payment.claims_drop', 'payment.counts', 'payment.due', 'payment.instance_end',
        'payment.instance_others', 'payment.instance_start',
        'payment.location_processor', 'payment.reversal_begin', 'payment.sale_begin',
        'payment.void_repeat', 'payment.wake']),
    ('kometpay_settled', ARRAY['audit.verify', 'books.close_batch_put', 'books.close_batches',
        'books.close_begin', 'books.close_days', 'books.close_differences',
        'books.close_items_put', 'books.close_match', 'books.customer_list', 'books.customer_put',
        'books.import_end', 'books.import_put', 'books.invoice_import', 'books.invoice_list', 'books.invoice_put', 'books.location_list',
        'books.location_put', 'books.payment_story', 'books.transaction_log',
        'payment.event_verify']),
    ('kometpay_vaultd', ARRAY['vault.card_find', 'vault.card_put', 'vault.data_key_create',
        'vault.data_key_list', 'vault.reveal_grant',
        'vault.seal_reserve']);

CREATE VIEW test.room AS
    SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('payment', 'books', 'vault', 'audit');

SELECT plan(29);

SELECT is((SELECT array_agg(DISTINCT r.nspname || '.' || p.proname ORDER BY r.nspname || '.'
                            || p.proname)
             FROM pg_proc p JOIN test.room r ON r.oid = p.pronamespace
            WHERE has_function_privilege(e.role, p.oid, 'EXECUTE')
              AND has_schema_privilege(e.role, r.oid, 'USAGE')),
          e.functions::text[], e.role || ' executes exactly its own functions')
  FROM test.expected e;
SELECT is_empty(format(
    $q$SELECT c.oid::regclass FROM pg_class c JOIN test.room r ON r.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v', 'm', 'p')
          AND has_table_privilege(%L, c.oid,
              'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$q$, e.role),
    e.role || ' has no right on any table')
  FROM test.expected e;
SELECT is_empty(format(
    $q$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a
         JOIN pg_class c ON c.oid = a.attrelid JOIN test.room r ON r.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
          AND has_column_privilege(%L, c.oid, a.attnum, 'SELECT, INSERT, UPDATE')$q$, e.role),
    e.role || ' has no right on any column')
  FROM test.expected e;
SELECT is_empty(format(
    $q$SELECT c.oid::regclass FROM pg_class c JOIN test.room r ON r.oid = c.relnamespace
        WHERE CASE c.relkind
                  WHEN 'S' THEN has_sequence_privilege(%L, c.oid, 'USAGE, SELECT, UPDATE')
              END$q$, e.role), e.role || ' has no right on any sequence')
  FROM test.expected e;
SELECT is_empty(format(
    $q$SELECT nspname FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\_%%' AND has_schema_privilege(%L, oid, 'CREATE')$q$, e.role),
    e.role || ' creates nothing')
  FROM test.expected e;
SELECT is((SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
             FROM pg_roles WHERE rolname = e.role), false, e.role || ' is an ordinary role')
  FROM test.expected e;

SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN test.room r ON r.oid = p.pronamespace
                   WHERE p.proowner <> 'kometpay_owner'::regrole$$,
                'the owner owns every function');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN test.room r ON r.oid = p.pronamespace
                   WHERE p.prosecdef
                     AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']$$,
                'every function with the owner''s rights has a search path of its own');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN test.room r ON r.oid = p.pronamespace
                   WHERE NOT p.prosecdef
                     AND (SELECT count(*) FROM test.expected e
                           WHERE has_function_privilege(e.role, p.oid, 'EXECUTE')) > 0$$,
                'no daemon executes a function without the owner''s rights');
SELECT is((SELECT rolcanlogin FROM pg_roles WHERE rolname = 'kometpay_owner'), false,
          'nobody logs in as the owner');

-- as the daemons themselves
SELECT test.open_business();
CREATE FUNCTION test.as_role(role text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RESET ROLE;
    RETURN 'done';
EXCEPTION WHEN insufficient_privilege THEN
    RETURN 'refused';
END
$$;
SELECT is(test.as_role('kometpay_gatewayd', 'SELECT * FROM payment.counts()'), 'done',
          'gatewayd counts its payments');
SELECT is(test.as_role('kometpay_gatewayd', 'SELECT * FROM payment.attempt'), 'refused',
          'gatewayd reads no table');
SELECT is(test.as_role('kometpay_gatewayd', 'SELECT * FROM books.location_list()'), 'refused',
          'gatewayd reads no books');
SELECT is(test.as_role('kometpay_settled', 'SELECT * FROM books.location_list()'), 'done',
          'settled lists locations');
SELECT is(test.as_role('kometpay_settled', 'SELECT * FROM payment.due(''gw-1'', 1, 1, 1)'), 'refused',
          'settled claims no payments');
SELECT is(test.as_role('kometpay_vaultd', 'SELECT * FROM books.customer_list(NULL, 1)'), 'refused',
          'vaultd reads no books');
SELECT is(test.as_role('kometpay_vaultd', 'SELECT audit.append(''operator'', ''refund'', ''pay_1'')'),
          'refused', 'vaultd writes no audit row in anybody''s name');
SELECT * FROM finish();
ROLLBACK;
