//! The arithmetic. services/cli/tests/bench_figures.rs tests it.

/// Share of the requests at each end that does not count: start and end are not the steady state.
pub const TRIM: f64 = 0.05;

/// The middle value; the mean of the middle two where there is none. Nothing of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted[middle - 1] + upper) / 2.0) }
}

/// Events in a second between the first and the last of the steady state. `micros` are instants in any order.
/// Nothing where there are fewer than two in it or no time passes.
pub fn trimmed_rate(micros: &[u64], trim: f64) -> Option<f64> {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let cut = (sorted.len() as f64 * trim) as usize;
    let steady = sorted.get(cut..sorted.len().checked_sub(cut)?)?;
    let (first, last) = (steady.first()?, steady.last()?);
    let seconds = (last - first) as f64 / 1e6;
    // n instants have n - 1 gaps between them.
    (seconds > 0.0).then(|| (steady.len() - 1) as f64 / seconds)
}

/// What `seconds` for `events` are for 100,000.
pub fn per_100k(seconds: f64, events: usize) -> f64 {
    seconds * 100_000.0 / events.max(1) as f64
}
