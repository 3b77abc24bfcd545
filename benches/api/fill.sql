-- 90 days of eight symbols in all three tables, up to now, with two decimals as a market has them.
INSERT INTO cryptocurrencies (symbol, created_at, updated_at)
SELECT symbol, now(), now()
FROM unnest(ARRAY['ADA', 'AVAX', 'BTC', 'DOGE', 'ETH', 'POL', 'SOL', 'XRP']) AS symbol;

SELECT format(
    $statement$
    INSERT INTO price_aggregates_%1$s
    SELECT id, start, start + '%2$s', open, open + 7.25, open - 6.5, open + 1.75, open + 0.5, open + 0.25, 12.34567891,
        12.34567891 * open, 60, 0, start + '%2$s'
    FROM cryptocurrencies, generate_series(date_trunc('day', now()) - INTERVAL '90 days', now() - INTERVAL '%2$s', '%2$s') AS start,
        LATERAL (SELECT round((95000 + 1000 * sin(extract(epoch FROM start) / 3600))::NUMERIC, 2) AS open) AS price
    $statement$, name, length)
FROM (VALUES ('1m', '1 minute'), ('5m', '5 minutes'), ('15m', '15 minutes')) AS intervals (name, length)
\gexec
VACUUM ANALYZE;
