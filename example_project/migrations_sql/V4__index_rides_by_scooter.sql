CREATE INDEX rides_by_scooter ON rides (scooter_id, started_at DESC);

-- DOWN
DROP INDEX rides_by_scooter;
