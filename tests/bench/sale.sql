-- The two transactions of one sale and nothing else, as gatewayd runs them: pgbench's measure of
-- what PostgreSQL alone can do here. :holder and :location are given with -D.
\set n random(100000000000000000, 999999999999999999)
SELECT * FROM payment.sale_begin('pay_' || lpad(:n::text, 26, '0'), lpad(:n::text, 26, '0'), :holder::text, 'MIA/uid:0', 'bench-' || :n::text, md5(:n::text) || md5(:n::text), 'MIA', 'uid:0', 'SALE', 8000, 'USD', NULL, '[]', 'hold_' || lpad(:n::text, 26, '0'), NULL, 'VISA', '1111', '1230', 'KEYED', NULL, 'uid:0');
SELECT * FROM payment.attempt_result(lpad(:n::text, 26, '0'), :holder::text, 1, 'APPROVED', :n::text, 'TST123', 8000, NULL, '000', 'TRANSACTION APPROVED', md5(:n::text), NULL, NULL, NULL, NULL, NULL, 'gatewayd') AS r LEFT JOIN LATERAL payment.answer_of(lpad(:n::text, 26, '0')) AS t ON true;
