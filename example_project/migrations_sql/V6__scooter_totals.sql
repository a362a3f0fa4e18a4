CREATE VIEW scooter_totals AS
SELECT
    scooters.id,
    scooters.code,
    scooters.model,
    scooters.battery,
    count(rides.id) AS rides,
    coalesce(sum(rides.price_cents), 0)::INT8 AS earned_cents
FROM scooters
LEFT JOIN rides ON rides.scooter_id = scooters.id
GROUP BY scooters.id, scooters.code, scooters.model, scooters.battery;

-- DOWN
DROP VIEW scooter_totals;
