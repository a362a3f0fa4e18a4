CREATE TABLE stations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    places INT8 NOT NULL CHECK (places > 0)
);

CREATE UNIQUE INDEX stations_by_name ON stations (name);

INSERT INTO stations (name, places) VALUES ('Harbour', 12), ('Old Town', 8), ('Campus', 20);

-- DOWN
DROP TABLE stations;
