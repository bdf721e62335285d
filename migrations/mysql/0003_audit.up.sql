-- Times are Unix milliseconds, ids are the 16 bytes of a UUID.
-- MySQL can't undo DDL: every statement may run again after it ran, so that a migration that stopped can be resumed.

-- Rows are added, never changed, and removed by the clean-up alone. A trigger that refuses anything else would need SUPER
-- where the binary log is on: the account's grants say it instead (SELECT, INSERT, DELETE).
-- No foreign keys: an event outlives its user and its session.
-- address: IPv6, or IPv4 mapped into it (::ffff:0:0/96), so that a network is a range.
CREATE TABLE IF NOT EXISTS audit_events (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    at BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    user_id BINARY(16) NULL,
    session_id BINARY(16) NULL,
    actor VARCHAR(16) NOT NULL,
    actor_name VARCHAR(128) NULL,
    address BINARY(16) NULL,
    request_id VARCHAR(128) NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (seq),
    KEY audit_events_at (at),
    KEY audit_events_user (user_id),
    KEY audit_events_address (address),
    KEY audit_events_request (request_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
