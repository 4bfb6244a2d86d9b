//! What a service tells about itself: structured logs (`tracing`) and metrics (`prometheus`).
//!
//! This crate is the only user of `prometheus` and of `tracing-subscriber`.

mod logging;
mod metrics;

pub use logging::{Format, InitError, init};
pub use metrics::{Metrics, MetricsError, buckets};
pub use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec,
};
