-- When devices were away and came back, for forecasts.
CREATE TABLE absences (
    device TEXT NOT NULL REFERENCES devices (id),
    since_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (device, since_at)
);
CREATE INDEX absences_until ON absences (until_at);
