//! One request for several postings.

use delivery::{Answer, ErrorClass, Scope};

use crate::{
    Endpoint, Posting,
    bulk::{Bulk, Item, Whole, of_all},
    call::Impossible,
    classify::{impossible, reason},
    operation::Run,
};

/// The items of a request, and whose they are.
#[derive(Default)]
struct Items {
    items: Vec<Item>,
    names: Vec<Option<String>>,
    /// The places of their postings.
    places: Vec<usize>,
    bytes: usize,
}

impl Run<'_> {
    /// Sends all of them, and says of each what became of it, in their order.
    pub(crate) async fn carry_out_together(&self, bulk: &Bulk, postings: &[&Posting]) -> Vec<Answer> {
        let mut answers = vec![None; postings.len()];
        let mut items = Items::default();
        for (place, posting) in postings.iter().enumerate() {
            answers[place] = items.add(self.endpoint, bulk, (place, posting)).err();
        }
        if !items.items.is_empty() {
            let got = self.exchange_together(bulk, &bulk.whole(items.items), &items.names).await;
            for (at, place) in items.places.into_iter().enumerate() {
                answers[place] = Some(match &got {
                    Ok(each) => each[at].clone(),
                    Err(all) => all.clone(),
                });
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(too_many)).collect()
    }

    async fn exchange_together(
        &self,
        bulk: &Bulk,
        whole: &Whole<'_>,
        names: &[Option<String>],
    ) -> Result<Vec<Answer>, Answer> {
        let asked = self.ask_for_all(whole).await;
        let answers = asked.and_then(|(status, headers, body)| {
            bulk.answers(self.endpoint, (status, &headers, &body), names)
        });
        self.rest(match &answers {
            Ok(each) => each.iter().any(|answer| matches!(answer, Answer::Unknown(_))),
            Err(all) => matches!(all, Answer::Unknown(_)),
        });
        match answers {
            Ok(answers) => {
                self.judge(&mut Answer::Applied { document: None });
                Ok(answers)
            }
            Err(mut answer) => {
                self.judge(&mut answer);
                Err(of_all(answer))
            }
        }
    }
}

impl Items {
    /// Adds a posting; otherwise says what becomes of it.
    fn add(
        &mut self,
        endpoint: &Endpoint,
        bulk: &Bulk,
        (place, posting): (usize, &Posting),
    ) -> Result<(), Answer> {
        let (item, name) = bulk.item(endpoint, posting).map_err(|Impossible(what)| impossible(&what))?;
        let bytes = item.bytes();
        if !self.items.is_empty() && self.bytes + bytes > bulk.max_bytes as usize {
            return Err(too_many());
        }
        self.bytes += bytes;
        self.items.push(item);
        self.names.push(name);
        self.places.push(place);
        Ok(())
    }
}

/// It was not sent: it goes with the next request.
fn too_many() -> Answer {
    let reason = reason(ErrorClass::Transient, None, "the request had no room for it; it was not sent");
    Answer::Again { reason, after_ms: Some(0), scope: Scope::Lane }
}

/// None of them goes that way any more: nothing was sent, and each goes by itself.
pub(crate) fn apart() -> Answer {
    let reason = reason(ErrorClass::Transient, None, "it cannot share a request any more; it was not sent");
    Answer::Again { reason, after_ms: Some(0), scope: Scope::Apart }
}
