-- Times are Unix milliseconds, ids are the 16 bytes of a UUID. The whole file is one transaction.

-- No foreign keys: an event outlives its user and its session. AUTOINCREMENT: a number is never given twice.
-- address: IPv6, or IPv4 mapped into it (::ffff:0:0/96), so that a network is a range.
CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user_id BLOB,
    session_id BLOB,
    actor TEXT NOT NULL,
    actor_name TEXT,
    address BLOB,
    request_id TEXT,
    details TEXT NOT NULL
) STRICT;

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_user ON audit_events (user_id);
CREATE INDEX audit_events_address ON audit_events (address);
CREATE INDEX audit_events_request ON audit_events (request_id);

-- Rows are added, never changed, and removed by the clean-up alone, which leaves those of the last day whatever it is told.
CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are not changed');
END;

-- INSERT OR REPLACE takes rows away without a word to the triggers below.
CREATE TRIGGER audit_events_once BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'audit events are not changed');
END;

CREATE TRIGGER audit_events_last BEFORE DELETE ON audit_events
WHEN OLD.at > (CAST(strftime('%s', 'now') AS INTEGER) - 86400) * 1000
BEGIN
    SELECT RAISE(ABORT, 'audit events of the last day are not removed');
END;
