-- Rows only: on both servers this script is one transaction with its ledger row.
INSERT INTO scooters (code, model, battery) VALUES
    ('AB-01', 'Heron 2', 81),
    ('AB-02', 'Heron 2', 64),
    ('AB-03', 'Heron 2', 12),
    ('AB-04', 'Kestrel', 97),
    ('AB-05', 'Kestrel', 55),
    ('AB-06', 'Kestrel', 38);

INSERT INTO riders (name, phone) VALUES
    ('Ada', '555-0101'),
    ('Björn', '555-0102'),
    ('Chidi', '555-0103'),
    ('Dolores', '555-0104'),
    ('Ada; again', '555-0101');

INSERT INTO rides (number, scooter_id, rider_id, state, started_at, finished_at)
SELECT
    n,
    (SELECT id FROM scooters WHERE code = 'AB-0' || (n % 6 + 1)::TEXT),
    (SELECT id FROM riders WHERE phone = '555-010' || (n % 3 + 2)::TEXT),
    CASE WHEN n = 48 THEN 'riding'::ride_state ELSE 'finished'::ride_state END,
    '2026-03-01 06:30:00+00'::TIMESTAMPTZ + n * INTERVAL '37 minutes',
    CASE
        WHEN n < 48
        THEN '2026-03-01 06:30:00+00'::TIMESTAMPTZ
            + n * INTERVAL '37 minutes'
            + (4 + n * 7 % 23) * INTERVAL '1 minute'
    END
FROM generate_series(1, 48) AS numbers (n);

-- DOWN
DELETE FROM rides;
DELETE FROM riders;
DELETE FROM scooters;
