//! A service's own metrics registry.

use std::sync::Arc;

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

/// Upper bounds of histogram buckets, in seconds.
pub mod buckets {
    /// From 0.5 ms to 30 s: calls over a network.
    pub const LATENCY: &[f64] =
        &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
}

/// A metric could not be created or encoded.
#[derive(Debug, thiserror::Error)]
#[error("metric `{name}` cannot be registered or written")]
pub struct MetricsError {
    /// The metric's full name.
    pub name: String,
    /// The cause: an illegal name or label, or a name that is taken.
    #[source]
    pub source: prometheus::Error,
}

/// Creates metrics named `counterfoil_<service>_<what>_<unit>` in a registry of its own.
///
/// Cloning is cheap and shares the registry; several services in one process share one through [`Metrics::service`].
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    service: Arc<str>,
}

impl Metrics {
    /// A new registry for `service`, with the metrics of the process (`process_*`) in it.
    ///
    /// # Errors
    /// When the process metrics cannot be registered.
    pub fn new(service: &str) -> Result<Self, MetricsError> {
        let metrics = Self { registry: Registry::new(), service: service.into() };
        #[cfg(target_os = "linux")]
        metrics.register("process", prometheus::process_collector::ProcessCollector::for_self())?;
        Ok(metrics)
    }

    /// The same registry, with names for another service.
    #[must_use]
    pub fn service(&self, service: &str) -> Self {
        Self { registry: self.registry.clone(), service: service.into() }
    }

    /// Counters by `labels`. `name` is `<what>_total`.
    ///
    /// # Errors
    /// When the name or a label is not legal, or the name is taken.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.create(name, |full| IntCounterVec::new(Opts::new(full, help), labels))
    }

    /// Whole-number gauges by `labels`. `name` is `<what>_<unit>`.
    ///
    /// # Errors
    /// As [`Metrics::counters`].
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
        self.create(name, |full| IntGaugeVec::new(Opts::new(full, help), labels))
    }

    /// Fractional gauges by `labels`. `name` is `<what>_<unit>`.
    ///
    /// # Errors
    /// As [`Metrics::counters`].
    pub fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.create(name, |full| GaugeVec::new(Opts::new(full, help), labels))
    }

    /// Histograms by `labels` with the given bucket bounds, see [`buckets`]. `name` is `<what>_<unit>`.
    ///
    /// # Errors
    /// As [`Metrics::counters`].
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        self.create(name, |full| {
            HistogramVec::new(HistogramOpts::new(full, help).buckets(bounds.to_vec()), labels)
        })
    }

    /// Everything in the registry, in the Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// When a collector hands out an inconsistent family.
    pub fn encode(&self) -> Result<String, MetricsError> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|source| MetricsError { name: self.service.to_string(), source })
    }

    fn create<C: Collector + Clone + 'static>(
        &self,
        name: &str,
        new: impl FnOnce(String) -> prometheus::Result<C>,
    ) -> Result<C, MetricsError> {
        let full = format!("counterfoil_{}_{name}", self.service);
        let metric = new(full.clone()).map_err(|source| MetricsError { name: full.clone(), source })?;
        self.register(&full, metric.clone())?;
        Ok(metric)
    }

    fn register(&self, name: &str, collector: impl Collector + 'static) -> Result<(), MetricsError> {
        self.registry
            .register(Box::new(collector))
            .map_err(|source| MetricsError { name: name.to_owned(), source })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_service_and_the_text_has_the_values() {
        let metrics = Metrics::new("gateway").unwrap();
        let events = metrics.counters("events_accepted_total", "Accepted events.", &["tenant"]).unwrap();
        events.with_label_values(&["acme"]).inc_by(3);
        let sink = metrics.service("sink").gauges("lanes_open", "Lanes.", &[]).unwrap();
        sink.with_label_values::<&str>(&[]).set(2);
        let text = metrics.encode().unwrap();
        assert!(text.contains("counterfoil_gateway_events_accepted_total{tenant=\"acme\"} 3\n"), "{text}");
        assert!(text.contains("counterfoil_sink_lanes_open 2\n"), "{text}");
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn a_name_is_given_once_per_registry_and_registries_are_apart() {
        let metrics = Metrics::new("gateway").unwrap();
        metrics.counters("x_total", "X.", &[]).unwrap();
        let error = metrics.counters("x_total", "X.", &[]).unwrap_err();
        assert_eq!(error.name, "counterfoil_gateway_x_total");
        Metrics::new("gateway").unwrap().counters("x_total", "X.", &[]).unwrap();
    }
}
