//! The page at `/`: what the ERP holds, for people to look at.

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    collection::Collection,
    recent::{Row, latest},
    report::{AccountSummary, Summary},
    settings::{Idempotency, Settings},
    world::Sandbox,
};

const REFRESH_SECONDS: u8 = 2;
const LATEST: usize = 50;
const CSS: &str = include_str!("page.css");

pub(crate) fn router(sandbox: Sandbox) -> Router {
    Router::new().route("/", get(page)).with_state(sandbox)
}

async fn page(State(sandbox): State<Sandbox>) -> Response {
    let summary = sandbox.summary();
    let settings: Vec<_> =
        sandbox.all().iter().map(|a| (a.name.to_string(), a.lock().settings.clone())).collect();
    let body = document(&summary, &settings, &latest(&sandbox, LATEST)).into_string();
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

fn document(summary: &Summary, settings: &[(String, Settings)], rows: &[Row]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "Sandbox ERP" }
                style { (PreEscaped(CSS)) }
            }
            body {
                main {
                    header {
                        h1 { "Sandbox ERP" }
                        p { "What the target systems really hold. Every durable change is counted here, where it happens." }
                    }
                    (tiles(summary))
                    h2 { "Accounts" }
                    (accounts(summary, settings))
                    @if summary.totals.documents > 0 {
                        h2 { "Documents by collection" }
                        (collections(summary))
                        h2 { "Latest " (rows.len()) " documents" }
                        (documents(rows))
                    }
                }
            }
        }
    }
}

fn tiles(summary: &Summary) -> Markup {
    let totals = &summary.totals;
    html! {
        div.tiles {
            (tile("documents", totals.documents, ""))
            (tile("effects applied", totals.effects, ""))
            (tile("requests", totals.requests, ""))
            (tile("duplicates", totals.duplicates, judged(totals.duplicates)))
            (tile("out of order", totals.out_of_order, judged(totals.out_of_order)))
            (tile("pending", totals.pending, ""))
        }
    }
}

fn tile(label: &str, number: u64, class: &str) -> Markup {
    html! { div class={ "tile " (class) } { b { (grouped(number)) } span { (label) } } }
}

fn judged(count: u64) -> &'static str {
    if count == 0 { "good" } else { "bad" }
}

fn accounts(summary: &Summary, settings: &[(String, Settings)]) -> Markup {
    html! {
        div.card {
            @if settings.is_empty() {
                div.empty {
                    "No account yet. One comes into being with its first request: "
                    code { "POST /{account}/api/v1/{collection}" }
                }
            } @else {
                table {
                    tr {
                        th { "Account" } th { "Protection against repeats" } th { "Faults" }
                        th.n { "Documents" } th.n { "Effects" } th.n { "Requests" } th.n { "Duplicates" }
                        th.n { "Out of order" }
                    }
                    @for (name, settings) in settings {
                        @if let Some(account) = summary.accounts.get(name) { (account_row(name, settings, account)) }
                    }
                }
            }
        }
    }
}

fn account_row(name: &str, settings: &Settings, account: &AccountSummary) -> Markup {
    let totals = &account.totals;
    let protection = match settings.idempotency {
        Idempotency::Key => "idempotency key",
        Idempotency::Upsert => "unique external id",
        Idempotency::Neither => "none",
    };
    html! {
        tr {
            td { b { (name) } }
            td { (protection) }
            td {
                @for fault in faults(settings) { span.mark.note { (fault) } }
            }
            td.n { (grouped(totals.documents)) }
            td.n { (grouped(totals.effects)) }
            td.n { (grouped(totals.requests)) }
            td.n { span class={ "mark " (judged(totals.duplicates)) } { (grouped(totals.duplicates)) } }
            td.n { span class={ "mark " (judged(totals.out_of_order)) } { (grouped(totals.out_of_order)) } }
        }
    }
}

/// The faults in force, in words.
fn faults(settings: &Settings) -> Vec<String> {
    let percent = |rate: f64| format!("{} %", (rate * 1000.0).round() / 10.0);
    let s = settings;
    let all = [
        (s.down, "down".to_owned()),
        (s.latency_ms > 0, format!("{} ms slow", s.latency_ms)),
        (s.jitter_ms > 0, format!("{} ms jitter", s.jitter_ms)),
        (s.throttle_per_second > 0, format!("{} requests/s", s.throttle_per_second)),
        (s.fail_rate > 0.0, format!("{} fail", percent(s.fail_rate))),
        (s.fail_next > 0, format!("next {} fail", s.fail_next)),
        (s.drop_answer_rate > 0.0, format!("{} answers lost", percent(s.drop_answer_rate))),
        (s.drop_answer_next > 0, format!("next {} answers lost", s.drop_answer_next)),
        (s.apply_late_ms > 0, format!("lost answers applied {} ms late", s.apply_late_ms)),
        (s.store_failures, "stores failures".to_owned()),
        (s.strict_references, "strict references".to_owned()),
        (!s.books_closed_before.is_empty(), format!("books closed before {}", s.books_closed_before)),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, words)| words).collect()
}

fn collections(summary: &Summary) -> Markup {
    let used: Vec<Collection> = Collection::ALL
        .into_iter()
        .filter(|c| summary.accounts.values().any(|a| a.collections.get(c).is_some_and(|n| *n > 0)))
        .collect();
    html! {
        div.card {
            table {
                tr {
                    th { "Account" }
                    @for collection in &used { th.n { (collection.name().replace('_', " ")) } }
                }
                @for (name, account) in &summary.accounts {
                    tr {
                        td { b { (name) } }
                        @for collection in &used {
                            td.n { (grouped(account.collections.get(collection).copied().unwrap_or(0))) }
                        }
                    }
                }
            }
        }
    }
}

fn documents(rows: &[Row]) -> Markup {
    html! {
        div.card {
            table {
                tr {
                    th { "Changed (UTC)" } th { "Account" } th { "Number" } th { "Source's id" } th { "About" }
                    th.n { "Amount" } th.n { "Version" } th { "Event" }
                }
                @for row in rows {
                    tr {
                        td.soft.id { (row.changed_at.format("%H:%M:%S%.3f")) }
                        td { (row.account) }
                        td.id { (row.id) }
                        td.id { (row.external_id) }
                        td.about { (row.about) }
                        td.n { (row.amount) }
                        td.n { (row.version) }
                        td.soft.id { (row.event_id.as_deref().unwrap_or("–")) }
                    }
                }
            }
        }
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
