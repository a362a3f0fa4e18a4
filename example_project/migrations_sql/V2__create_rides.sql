CREATE TYPE ride_state AS ENUM ('riding', 'finished', 'cancelled');

CREATE TABLE rides (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    number INT8 NOT NULL UNIQUE,
    scooter_id UUID NOT NULL REFERENCES scooters (id),
    rider_id UUID NOT NULL REFERENCES riders (id),
    state ride_state NOT NULL DEFAULT 'riding',
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    CHECK (finished_at IS NULL OR finished_at >= started_at)
);

-- DOWN
DROP TABLE rides;
DROP TYPE ride_state;
