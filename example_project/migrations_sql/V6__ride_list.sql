CREATE VIEW ride_list AS
SELECT
    rides.id,
    rides.number,
    scooters.code AS scooter,
    scooters.model,
    riders.name AS rider,
    rides.state::TEXT AS state,
    rides.started_at,
    (extract(epoch FROM rides.finished_at - rides.started_at) / 60)::INT8 AS minutes,
    rides.price_cents
FROM rides
JOIN scooters ON scooters.id = rides.scooter_id
JOIN riders ON riders.id = rides.rider_id;

-- DOWN
DROP VIEW ride_list;
