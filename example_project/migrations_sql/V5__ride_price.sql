-- A column that must not be null, added to a table with rows: add it, fill it, then demand it.
-- On CockroachDB these are three segments, each recorded by itself: a run that is killed between
-- them goes on at the right one.
ALTER TABLE rides ADD COLUMN price_cents INT8;

UPDATE rides
SET price_cents = CASE
    WHEN finished_at IS NULL THEN 0
    ELSE 100 + 15 * (extract(epoch FROM finished_at - started_at) / 60)::INT8
END
WHERE price_cents IS NULL;

ALTER TABLE rides ALTER COLUMN price_cents SET DEFAULT 0;
ALTER TABLE rides ALTER COLUMN price_cents SET NOT NULL;

-- DOWN
ALTER TABLE rides DROP COLUMN price_cents;
