//! Several postings in one request.

use std::sync::Arc;

use delivery::{Answer, ErrorClass, Reason, Scope, Ticket};
use target::{Posting, Told};

use super::{
    Engine,
    actions::{overslept, pass_on, time_left},
};
use crate::{message::Message, plan::Way};

impl Engine {
    /// Every one of them is answered, whatever becomes of the request. The core lets only such postings share one as have the same
    /// connection and kind; but the configuration may have changed since they were taken in.
    pub(super) fn post_together(&mut self, postings: &[(Ticket, u32)]) {
        let (mut answers, mut tickets) = (Vec::new(), Vec::new());
        let mut company: Option<(Arc<Way>, Vec<Arc<Posting>>)> = None;
        let mut deadline = None;
        for (ticket, attempt) in postings.iter().copied() {
            let Some(active) = self.active.get(&ticket) else {
                answers.push((ticket, unsent()));
                continue;
            };
            if let Some(answer) = self.refusal(ticket) {
                answers.push((ticket, answer));
                continue;
            }
            let (way, posting) = (&active.job.way, Arc::clone(&active.job.posting));
            let (first, members) = company.get_or_insert_with(|| (Arc::clone(way), Vec::new()));
            if way.connection != first.connection || !way.endpoint.shares_with(&first.endpoint) {
                answers.push((ticket, unsent()));
                continue;
            }
            let kind = if attempt == 1 { "first" } else { "repeat" };
            self.parts.metrics.attempt(&active.job.source.envelope.tenant, kind);
            members.push(posting);
            tickets.push(ticket);
            deadline = deadline.or_else(|| self.deadline(ticket));
        }
        let report = self.outbound.clone();
        let (Some((way, members)), Some(deadline)) = (company, deadline) else {
            report.send(Message::AnsweredTogether(answers)).ok(); // the engine has stopped: nobody listens
            return;
        };
        if let Some(active) = tickets.first().and_then(|first| self.active.get(first)) {
            let tenant = active.job.source.envelope.tenant.clone();
            self.parts.metrics.shared(&tenant);
            self.ask_for_limits(&way, &tenant);
        }
        let (told, began) = (Told::default(), self.parts.clock.now().mono);
        let client = way.client(&self.parts.client).telling(&told);
        tokio::spawn(async move {
            let members: Vec<&Posting> = members.iter().map(|posting| &**posting).collect();
            let answered = match time_left(deadline) {
                Some(timeout) => client.send_together(&way.endpoint, &members, timeout).await,
                None => members.iter().map(|_| overslept()).collect(),
            };
            answers.extend(tickets.into_iter().zip(answered));
            pass_on(&told, (way.connection, began), &report);
            report.send(Message::AnsweredTogether(answers)).ok();
        });
    }
}

/// It goes by itself: what it shared with the others when it was taken in, it shares no longer.
fn unsent() -> Answer {
    let reason = Reason {
        code: Arc::from("SNK-0004"),
        class: ErrorClass::Transient,
        status: None,
        message: Arc::from("the configuration has changed; it was not sent with others"),
    };
    Answer::Again { reason, after_ms: Some(0), scope: Scope::Apart }
}
