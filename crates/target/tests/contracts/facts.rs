//! `facts.yaml`: what a second reader found out about a system, and what an answer of that kind must mean.

use super::*;

/// One fact of `facts.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    fact: String,
    says: String,
    class: Option<String>,
    outcome: Option<String>,
    /// Of a fact that is no answer to a request: where it went, or why it is not used.
    instead: Option<String>,
}

/// What a second reader found out about a system.
fn facts(system: &str) -> Vec<Fact> {
    let path = tests_of(system).join("facts.yaml");
    match fs::read_to_string(&path) {
        Ok(yaml) => {
            serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }
        Err(_) => Vec::new(),
    }
}

/// Each fact has an answer, and what the definition makes of it is what its second reader says; each answer of a fact has one.
#[test]
fn every_fact_has_an_answer_that_means_it() {
    let mut wrong = Vec::new();
    for (system, (_, yaml)) in definitions() {
        let facts = facts(&system);
        let answers = cases::<AnswerCase>(&system);
        if facts.is_empty() && !yaml.lines().any(|line| line.starts_with("evidence: run")) {
            wrong.push(format!("{system}: it has no tests/facts.yaml"));
        }
        let known: BTreeSet<&str> = facts.iter().map(|fact| &*fact.fact).collect();
        assert_eq!(known.len(), facts.len(), "{system}: two facts have one name");
        for fact in &facts {
            let of_it: Vec<_> =
                answers.iter().filter(|case| case.fact.as_deref() == Some(&*fact.fact)).collect();
            wrong.extend(fact.held_against(&of_it).map(|what| format!("{system}: {}: {what}", fact.fact)));
        }
        let strays = answers.iter().filter(|case| case.fact.as_deref().is_some_and(|f| !known.contains(f)));
        wrong.extend(strays.map(|case| format!("{system}: {}: there is no such fact", case.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Fact {
    /// What is wrong with the answers of it.
    fn held_against(&self, answers: &[&AnswerCase]) -> Option<String> {
        match (&self.outcome, &self.instead) {
            (None, Some(instead)) if answers.is_empty() && !instead.is_empty() => None,
            (Some(outcome), None) if !answers.is_empty() => {
                let other =
                    answers.iter().find(|c| c.means.outcome != *outcome || c.means.class != self.class)?;
                Some(format!("`{}` means {:?} in answers.yaml, `{}`", self.says, other.means, other.name))
            }
            (Some(_), None) => Some(format!("`{}` has no answer", self.says)),
            _ => Some("it is an answer with an outcome, or has an `instead` and no answers".to_owned()),
        }
    }
}
