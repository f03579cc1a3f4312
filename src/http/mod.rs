//! The web: API, admin pages, health and metrics.
