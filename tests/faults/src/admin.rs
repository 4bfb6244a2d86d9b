//! Health and metrics of a service.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{bail, ensure};
use testkit::Process;

/// For an answer; a stopped process never gives one.
const ANSWER: Duration = Duration::from_secs(2);

/// Values by series, such as `counterfoil_sink_postings_total{tenant="keyed"}`.
pub type Series = BTreeMap<String, f64>;

#[derive(Clone)]
pub struct Admin {
    address: String,
    http: reqwest::Client,
}

impl Admin {
    pub fn new(address: String, http: reqwest::Client) -> Self {
        Self { address, http }
    }

    /// Waits until the service is ready; fails at once when it ends.
    pub async fn ready(&self, process: &Process, within: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + within;
        while self.get("/health/ready").await.is_none() {
            if let Some(status) = process.status()? {
                bail!("it ended ({status}):\n{}", process.tail());
            }
            ensure!(tokio::time::Instant::now() < deadline, "not ready: {}", process.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Every series of its metrics; none if it does not answer.
    pub async fn metrics(&self) -> Option<Series> {
        let text = self.get("/metrics").await?;
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Some(text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect())
    }

    async fn get(&self, path: &str) -> Option<String> {
        let request = self.http.get(format!("http://{}{path}", self.address)).timeout(ANSWER);
        let answer = request.send().await.ok()?;
        if answer.status().is_success() { answer.text().await.ok() } else { None }
    }
}

/// The sum of the series of a name whose labels hold `label`.
pub fn sum(series: &Series, name: &str, label: &str) -> f64 {
    let of = |key: &str| {
        let labels = key.strip_prefix(name)?;
        ((labels.is_empty() || labels.starts_with('{')) && labels.contains(label)).then_some(())
    };
    series.iter().filter(|(key, _)| of(key).is_some()).map(|(_, value)| value).sum()
}

/// Adds what a process that has ended had counted.
pub fn add(all: &mut Series, one: &Series) {
    for (name, value) in one {
        *all.entry(name.clone()).or_default() += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_of_one_name_and_label() {
        let series = Series::from([
            ("a_total{x=\"1\"}".to_owned(), 2.0),
            ("a_total{x=\"2\"}".to_owned(), 3.0),
            ("a_total_more".to_owned(), 5.0),
        ]);
        assert_eq!(sum(&series, "a_total", ""), 5.0);
        assert_eq!(sum(&series, "a_total", "x=\"2\""), 3.0);
        assert_eq!(sum(&series, "a", ""), 0.0);
    }
}
