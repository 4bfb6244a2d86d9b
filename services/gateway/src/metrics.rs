//! What the gateway counts.

use event::TenantId;
use telemetry::{HistogramVec, IntCounterVec, IntGauge, Metrics, MetricsError, buckets};

/// The gateway's metrics, `counterfoil_gateway_…`.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    accepted: IntCounterVec,
    rejected: IntCounterVec,
    webhooks: IntCounterVec,
    quota_rejections: IntCounterVec,
    produce_seconds: HistogramVec,
    troubled: IntGauge,
}

impl GatewayMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let by_event = &["tenant", "type"];
        Ok(Self {
            requests: metrics.counters("requests_total", "Requests answered.", &["route", "status"])?,
            request_seconds: metrics.histograms(
                "request_duration_seconds",
                "From a request's head to its answer.",
                &["route"],
                buckets::LATENCY,
            )?,
            in_flight: metrics
                .gauges("requests_in_flight", "Requests begun and not answered.", &[])?
                .with_label_values::<&str>(&[]),
            accepted: metrics.counters(
                "events_accepted_total",
                "Events the brokers acknowledged.",
                by_event,
            )?,
            rejected: metrics.counters("events_rejected_total", "Events refused as not valid.", by_event)?,
            webhooks: metrics.counters(
                "webhooks_total",
                "Webhooks of known connections, by what became of them.",
                &["tenant", "connection", "result"],
            )?,
            quota_rejections: metrics.counters(
                "quota_rejections_total",
                "Requests refused because the tenant's quota was used up.",
                &["tenant"],
            )?,
            troubled: metrics
                .gauges(
                    "troubled_tenants_count",
                    "Tenants whose configuration cannot be put in force as it is; the log says why.",
                    &[],
                )?
                .with_label_values::<&str>(&[]),
            produce_seconds: metrics.histograms(
                "produce_duration_seconds",
                "From the first event of a request entering the queue to the last acknowledgement.",
                &[],
                buckets::LATENCY,
            )?,
        })
    }

    /// So many tenants' configurations cannot be put in force as they are.
    pub(crate) fn troubled(&self, tenants: usize) {
        self.troubled.set(tenants as i64);
    }

    /// Counts a request as in flight for as long as the guard lives; a client that hangs up ends it too.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn request(&self, route: &str, status: u16, seconds: f64) {
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(status / 100).clamp(1, 5) - 1];
        self.requests.with_label_values(&[route, class]).inc();
        self.request_seconds.with_label_values(&[route]).observe(seconds);
    }

    pub(crate) fn accepted(&self, tenant: &TenantId, event_type: &str) {
        self.accepted.with_label_values(&[tenant.as_str(), event_type]).inc();
    }

    /// `event_type` only if it exists: a label's values must not come from outside.
    pub(crate) fn rejected(&self, tenant: &TenantId, event_type: Option<event::EventType>) {
        let event_type = event_type.map_or_else(|| "unknown".to_owned(), |t| t.to_string());
        self.rejected.with_label_values(&[tenant.as_str(), &event_type]).inc();
    }

    pub(crate) fn webhook(&self, tenant: &TenantId, connection: &str, result: &str) {
        self.webhooks.with_label_values(&[tenant.as_str(), connection, result]).inc();
    }

    pub(crate) fn quota_rejection(&self, tenant: &TenantId) {
        self.quota_rejections.with_label_values(&[tenant.as_str()]).inc();
    }

    pub(crate) fn produced(&self, seconds: f64) {
        self.produce_seconds.with_label_values::<&str>(&[]).observe(seconds);
    }
}

/// A request in flight.
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
