-- What has been tried, so that guesses can be slowed down. The first 16 bytes of an id say of what (an account by a digest of
-- its address, or the kind), the others from where. Times are Unix milliseconds, but for `moment`, which is nanoseconds.

CREATE TABLE IF NOT EXISTS throttles (
    id BINARY(32) NOT NULL,
    strikes BIGINT NOT NULL,
    moment BIGINT NOT NULL,
    known_until BIGINT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    KEY throttles_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
