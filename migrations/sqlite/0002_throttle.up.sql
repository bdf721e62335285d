-- What has been tried, so that guesses can be slowed down. The first 16 bytes of an id say of what (an account by a digest of
-- its address, or the kind), the others from where. Times are Unix milliseconds, but for `moment`, which is nanoseconds.

CREATE TABLE throttles (
    id BLOB NOT NULL PRIMARY KEY,
    strikes INTEGER NOT NULL,
    moment INTEGER NOT NULL,
    known_until INTEGER,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttles_expires ON throttles (expires_at);
