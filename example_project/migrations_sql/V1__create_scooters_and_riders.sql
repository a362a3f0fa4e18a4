CREATE TABLE scooters (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    code TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    battery INT8 NOT NULL DEFAULT 100 CHECK (battery BETWEEN 0 AND 100)
);

CREATE TABLE riders (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    phone TEXT NOT NULL,
    joined_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- DOWN
DROP TABLE riders;
DROP TABLE scooters;
