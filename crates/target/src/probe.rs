//! Asks a system now and then for what is left of a limit, where its other answers do not tell.

use bytes::Bytes;
use delivery::{Answer, ErrorClass, Reason};
use serde_json::Value;

use crate::{
    Endpoint, EndpointError, call::Call, classify::reason, compile::Compiler, definition::Signal,
    operation::Run, template::Name,
};

/// A question for what is left, compiled.
#[derive(Debug)]
pub(crate) struct Probe {
    call: Call,
    signal: Signal,
    every_ms: u64,
}

impl Compiler<'_> {
    /// The questions for limits. They are nobody's posting, so they can name what the connection and signing in give only.
    pub(crate) fn probes(&self) -> Result<Vec<Probe>, EndpointError> {
        let asked = self.connector.signals.iter().filter_map(|signal| Some((signal, signal.probe.as_ref()?)));
        let compiled = asked.map(|(signal, probe)| {
            let call = self.request(&probe.request, &self.path(""), false)?;
            if call.has(&|name| !matches!(name, Name::Captured(_))) {
                let what = "the request of a `probe` can name what the connection and signing in give only";
                return Err(self.wrong(what.to_owned()));
            }
            Ok(Probe { call, signal: signal.clone(), every_ms: probe.every_ms })
        });
        compiled.collect()
    }
}

impl Endpoint {
    /// How often each question for limits wants to be asked, in milliseconds.
    pub fn probes(&self) -> impl Iterator<Item = u64> {
        self.probes.iter().map(|probe| probe.every_ms)
    }

    pub(crate) fn probe(&self, which: usize) -> Option<&Probe> {
        self.probes.get(which)
    }
}

impl Run<'_> {
    /// Asks, and lets whoever listens know what is left.
    pub(crate) async fn probe(&self, probe: &Probe) -> Result<(), Reason> {
        let mut replied = self.probed(probe).await;
        match &mut replied {
            Ok(()) => self.judge(&mut Answer::Applied { document: None }),
            Err(answer) => {
                self.judge(answer);
                self.rest(true);
            }
        }
        replied.map_err(why)
    }

    async fn probed(&self, probe: &Probe) -> Result<(), Answer> {
        let names = self.names(&Value::Null, None, None);
        let asked = self.exchange_at(&probe.call, &names, None, &Bytes::new(), false).await?;
        let (_, (status, headers, body)) = asked;
        let classifier = &self.endpoint.classifier;
        let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !(200..300).contains(&status) || classifier.is_error(&json) {
            return Err(classifier.classify(status, &headers, &body));
        }
        let told = self.client.told.as_ref();
        if told.is_some_and(|told| !told.hear(std::slice::from_ref(&probe.signal), &headers, &body)) {
            let what = "its answer does not say where the definition looks how much is left";
            return Err(Answer::Refused(reason(ErrorClass::Unsupported, Some(status), what)));
        }
        Ok(())
    }
}

fn why(answer: Answer) -> Reason {
    match answer {
        Answer::Again { reason, .. }
        | Answer::Unfinished { reason, .. }
        | Answer::Unknown(reason)
        | Answer::Replayed(reason)
        | Answer::Refused(reason)
        | Answer::Stuck(reason) => reason,
        Answer::Applied { .. } => {
            reason(ErrorClass::Unsupported, None, "a rule calls the answer to a question applied")
        }
    }
}
