//! The sink's metrics.

use std::time::Duration;

use delivery::{Gauges, Status};
use event::TenantId;
use telemetry::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Metrics, MetricsError, buckets};

/// Counters and gauges of the sink; names begin with `counterfoil_sink_`.
pub(crate) struct SinkMetrics {
    postings: IntCounterVec,
    duplicates: IntCounterVec,
    repeated: IntCounterVec,
    poison: IntCounterVec,
    attempts: IntCounterVec,
    shared: IntCounterVec,
    turned_away: IntCounterVec,
    latency: HistogramVec,
    gauges: IntGaugeVec,
    violations: IntGaugeVec,
    restored: IntCounterVec,
    reread: IntCounterVec,
    refused_intents: IntCounterVec,
    fenced: IntCounterVec,
    in_doubt: IntGaugeVec,
    takeover: HistogramVec,
    copied: IntCounterVec,
    paused: IntGaugeVec,
    strayed: IntGaugeVec,
    troubled: IntGaugeVec,
    others: IntGaugeVec,
}

impl SinkMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let labels = ["tenant", "route", "status"];
        Ok(Self {
            postings: metrics.counters("postings_total", "postings that came to an end", &labels)?,
            duplicates: metrics.counters(
                "duplicates_total",
                "records whose posting the ledger knew to be over",
                &["tenant"],
            )?,
            repeated: metrics.counters(
                "repeated_records_total",
                "records that the brokers handed out again",
                &["topic"],
            )?,
            poison: metrics.counters(
                "unreadable_records_total",
                "records sent to a dead-letter topic unread",
                &["code"],
            )?,
            attempts: metrics.counters("attempts_total", "requests sent to targets", &["tenant", "kind"])?,
            shared: metrics.counters(
                "shared_requests_total",
                "requests that several postings shared",
                &["tenant"],
            )?,
            turned_away: metrics.counters(
                "turned_away_total",
                "answers by which a connection is not let in: its events wait, and somebody has to act",
                &["tenant", "connection", "code"],
            )?,
            latency: metrics.histograms(
                "latency_seconds",
                "from acceptance at the gateway to the outcome",
                &["tenant"],
                buckets::LATENCY,
            )?,
            gauges: metrics.gauges("load_count", "postings, lanes and requests under way", &["what"])?,
            violations: metrics.gauges(
                "invariant_violations_count",
                "must stay 0; see GUARANTEES.md",
                &["id"],
            )?,
            restored: metrics.counters(
                "restored_records_total",
                "changelog records applied on assignment",
                &["topic"],
            )?,
            reread: metrics.counters(
                "reread_records_total",
                "records left in the log while their connection filled a window, and read again",
                &["tenant"],
            )?,
            refused_intents: metrics.counters(
                "refused_intents_total",
                "Intents that the local ledger did not take: nothing was sent",
                &[],
            )?,
            in_doubt: metrics.gauges(
                "in_doubt",
                "postings in doubt in the ledgers of this sink's partitions; an operator decides",
                &["topic"],
            )?,
            fenced: metrics.counters(
                "fenced_outcomes_total",
                "outcomes of former owners in changelogs, appended behind the next owner's claim and passed over",
                &[],
            )?,
            takeover: metrics.histograms(
                "takeover_seconds",
                "from the assignment of a partition to its complete ledger",
                &["topic"],
                buckets::LATENCY,
            )?,
            paused: metrics.gauges(
                "paused_count",
                "1 for a route that an operator paused",
                &["tenant", "route"],
            )?,
            strayed: metrics.gauges(
                "strayed_count",
                "postings that go on to where their route led before, since they may have been sent there",
                &["tenant", "route"],
            )?,
            troubled: metrics.gauges(
                "troubled_tenants_count",
                "tenants whose configuration cannot be carried out here as it is; the log says why",
                &[],
            )?,
            others: metrics.gauges(
                "other_connectors_tenants_count",
                "tenants delivered with other connectors than they were applied with; the log says which",
                &[],
            )?,
            copied: metrics.counters(
                "standby_records_total",
                "changelog records applied to standby copies",
                &["topic"],
            )?,
        })
    }

    /// So many tenants' configurations cannot be carried out as they are, and so many are with other connectors than they were
    /// applied with.
    pub(crate) fn troubled(&self, tenants: usize, others: usize) {
        self.troubled.with_label_values(&[] as &[&str]).set(tenants as i64);
        self.others.with_label_values(&[] as &[&str]).set(others as i64);
    }

    /// Counts Intents that the local ledger did not take.
    pub(crate) fn refused_intents(&self) -> IntCounter {
        self.refused_intents.with_label_values(&[] as &[&str])
    }

    /// For whoever counts them.
    pub(crate) fn in_doubt(&self) -> IntGaugeVec {
        self.in_doubt.clone()
    }

    pub(crate) fn fenced(&self, outcomes: u64) {
        self.fenced.with_label_values(&[] as &[&str]).inc_by(outcomes);
    }

    pub(crate) fn settled(&self, tenant: &TenantId, route: &str, status: Status, seconds: f64) {
        self.postings.with_label_values(&[tenant.as_str(), route, status_name(status)]).inc();
        if status == Status::Committed {
            self.latency.with_label_values(&[tenant.as_str()]).observe(seconds.max(0.0));
        }
    }

    pub(crate) fn duplicate(&self, tenant: &TenantId) {
        self.duplicates.with_label_values(&[tenant.as_str()]).inc();
    }

    pub(crate) fn repeated(&self, topic: &str) {
        self.repeated.with_label_values(&[topic]).inc();
    }

    pub(crate) fn poison(&self, code: &str) {
        self.poison.with_label_values(&[code]).inc();
    }

    pub(crate) fn shared(&self, tenant: &TenantId) {
        self.shared.with_label_values(&[tenant.as_str()]).inc();
    }

    pub(crate) fn attempt(&self, tenant: &TenantId, kind: &str) {
        self.attempts.with_label_values(&[tenant.as_str(), kind]).inc();
    }

    pub(crate) fn turned_away(&self, tenant: &TenantId, connection: &str, code: &str) {
        self.turned_away.with_label_values(&[tenant.as_str(), connection, code]).inc();
    }

    pub(crate) fn restored(&self, topic: &str, records: usize, took: Duration) {
        self.restored.with_label_values(&[topic]).inc_by(records as u64);
        self.takeover.with_label_values(&[topic]).observe(took.as_secs_f64());
    }

    /// For the thread that keeps the copies.
    pub(crate) fn copied(&self) -> IntCounterVec {
        self.copied.clone()
    }

    pub(crate) fn paused(&self, tenant: &TenantId, route: &str, paused: bool) {
        self.paused.with_label_values(&[tenant.as_str(), route]).set(i64::from(paused));
    }

    /// All of them: a route that is not named has none.
    pub(crate) fn strays<'a>(&self, counts: impl Iterator<Item = (&'a TenantId, &'a str, i64)>) {
        self.strayed.reset();
        for (tenant, route, count) in counts {
            self.strayed.with_label_values(&[tenant.as_str(), route]).set(count);
        }
    }

    pub(crate) fn reread(&self, tenant: &TenantId, records: usize) {
        self.reread.with_label_values(&[tenant.as_str()]).inc_by(records as u64);
    }

    pub(crate) fn load(&self, gauges: Gauges, unacked: usize) {
        let set = |what: &str, value: usize| self.gauges.with_label_values(&[what]).set(value as i64);
        set("postings", gauges.postings);
        set("lanes", gauges.lanes);
        set("requests", gauges.in_flight);
        set("backlogs", gauges.spills);
        set("unacked_records", unacked);
        for (id, count) in delivery::invariant::violations() {
            self.violations.with_label_values(&[id.id()]).set(count as i64);
        }
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Committed => "committed",
        Status::Rejected => "rejected",
        Status::Superseded => "superseded",
        Status::InDoubt => "in_doubt",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use delivery::invariant::{InvariantId, violated};

    use super::*;

    /// What `CounterfoilInvariantViolated` looks at. In a debug build the report panics besides.
    #[test]
    fn a_violation_shows_under_its_id_and_no_other_does() {
        let registry = Metrics::new("sink").unwrap();
        let metrics = SinkMetrics::new(&registry).unwrap();
        let shown = || {
            metrics.load(Gauges::default(), 0);
            let text = registry.encode().unwrap();
            let series = text.lines().filter(|line| {
                line.starts_with("counterfoil_sink_invariant_violations_count{") && !line.ends_with(" 0")
            });
            series.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shown(), [""; 0]);
        let reported = std::panic::catch_unwind(|| violated(InvariantId::VersionOrder, "a test"));
        assert_eq!(reported.is_err(), cfg!(debug_assertions));
        assert_eq!(shown(), ["counterfoil_sink_invariant_violations_count{id=\"ORD-1\"} 1"]);
    }
}
