//! Traces of OpenTelemetry through a router; see `tests`.
