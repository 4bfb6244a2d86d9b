//! Asks for a page of what has changed.

use bytes::Bytes;
use delivery::Answer;

use super::{Feed, WalkError, paging::Ask, read::Reply};
use crate::operation::Run;

impl Run<'_> {
    /// One request of a walk that began to ask at `since_us`.
    pub(crate) async fn ask(&self, feed: &Feed, since_us: i64, ask: &Ask) -> Result<Reply, WalkError> {
        let mut replied = self.reply(feed, since_us, ask).await;
        match &mut replied {
            Ok(_) => self.judge(&mut Answer::Applied { document: None }),
            Err(answer) => self.judge(answer),
        }
        replied.map_err(WalkError::from)
    }

    async fn reply(&self, feed: &Feed, since_us: i64, ask: &Ask) -> Result<Reply, Answer> {
        let payload = feed.payload(since_us, ask);
        let names = self.names(&payload, None, None);
        let (uri, (status, headers, body)) =
            self.exchange_at(feed.call(ask), &names, ask.link(), &Bytes::new(), false).await?;
        feed.read(&self.endpoint.classifier, uri, (status, headers, &body))
    }
}
