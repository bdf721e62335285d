//! Handles of the metrics; the registry and its text are made by the admin listener.
