CREATE TABLE scooters (code TEXT PRIMARY KEY);

-- DOWN
DROP TABLE scooters;
