//! The oracle's findings as metrics.

use sandbox::{Sandbox, Totals};
use telemetry::{IntGaugeVec, Metrics, MetricsError};

type Reading = fn(&Totals) -> u64;

/// One gauge per finding, by account. Gauges, not counters: an account can be reset.
pub(crate) struct Gauges(Vec<(IntGaugeVec, Reading)>);

impl Gauges {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let all: [(&str, &str, Reading); 6] = [
            ("documents_count", "documents held", |t| t.documents),
            ("effects_count", "durable changes applied", |t| t.effects),
            ("requests_count", "requests seen", |t| t.requests),
            ("duplicates_count", "effects that should not have been", |t| t.duplicates),
            ("out_of_order_count", "effects older than one already applied", |t| t.out_of_order),
            ("pending_count", "writes received and not yet applied", |t| t.pending),
        ];
        let gauges = all
            .into_iter()
            .map(|(name, help, reading)| Ok((metrics.gauges(name, help, &["account"])?, reading)));
        gauges.collect::<Result<_, MetricsError>>().map(Self)
    }

    pub(crate) fn update(&self, sandbox: &Sandbox) {
        let summary = sandbox.summary();
        for (gauge, reading) in &self.0 {
            gauge.reset();
            for (name, account) in &summary.accounts {
                let value = i64::try_from(reading(&account.totals)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[name]).set(value);
            }
        }
    }
}
