//! What a definition of a job can have wrong.

use target::ClassChoice;

use crate::rig::{CONNECTOR, endpoint};

#[test]
fn what_does_not_fit_together_is_said_in_words() {
    let within = "        within: 5m\n";
    let result = "        result: \"GET /jobs/{{job}}/task/{{task}}/result\"\n";
    let task = "        task: {request: \"GET /jobs/{{job}}/task\", at: \"$.items[0].href\"}\n";
    let earlier = "        earlier: {when: {status: 400, code: known_key}}\n";
    let upsert = "      job: &job\n        at: header.Location\n";
    for (from, to, class, what) in [
        (within, "", ClassChoice::Upsert, "needs `within`, the longest that a job may live"),
        (within, "", ClassChoice::Keyed, "needs `within`"),
        (within, "        within: 2h\n", ClassChoice::Upsert, "longer than an hour"),
        ("every: 50ms", "every: 1ms", ClassChoice::Upsert, "`every` is at least 50ms"),
        ("ok: [200]", "ok: [200, 202]", ClassChoice::Upsert, "status 202 is in `accepted` and in `ok`"),
        (
            upsert,
            "      job: &job\n        at: header.Location\n        accepted: []\n",
            ClassChoice::Upsert,
            "`accepted` names",
        ),
        (upsert, "      job: &job\n        at: Location\n", ClassChoice::Upsert, "`Location` is no path"),
        (
            upsert,
            "      job: &job\n        at: header.Location\n        earlier: {when: {code: known_key}}\n",
            ClassChoice::Upsert,
            "`earlier` is of class keyed",
        ),
        (earlier, "        earlier: {when: {}}\n", ClassChoice::Keyed, "`earlier` says in `when`"),
        (
            earlier,
            "        earlier: {when: {transport: reset}}\n",
            ClassChoice::Keyed,
            "`earlier` says in `when`",
        ),
        ("request: \"GET /jobs/{{job}}\"", "request: \"GET /jobs\"", ClassChoice::Upsert, "say {{job}}"),
        (
            "request: \"GET /jobs/{{job}}\"",
            "request: \"GET /jobs/{{job}}/{{id}}\"",
            ClassChoice::Upsert,
            "its requests can name",
        ),
        (
            "request: \"GET /jobs/{{job}}\"",
            "request: \"GET /jobs/{{job}}/{{task}}\"",
            ClassChoice::Upsert,
            "only `result` can say {{task}}",
        ),
        (result, "", ClassChoice::Upsert, "a `task` is there for the `result`"),
        (task, "", ClassChoice::Upsert, "but there is no `task`"),
        (
            result,
            "        result: \"GET /jobs/{{job}}/result\"\n",
            ClassChoice::Upsert,
            "since there is a `task`",
        ),
        (
            "PUT {{path}}/{{ref}}",
            "PUT {{path}}/{{job}}",
            ClassChoice::Upsert,
            "in the requests of a `job` only",
        ),
        (
            "PUT {{path}}/{{ref}}",
            "PUT {{path}}/{{job}}",
            ClassChoice::Keyed,
            "in the requests of a `job` only",
        ),
        ("        done: {path: $.state, is: done}\n", "", ClassChoice::Upsert, "missing field `done`"),
    ] {
        assert!(CONNECTOR.contains(from), "{from}");
        let wrong = CONNECTOR.replace(from, to);
        let said = endpoint(&wrong, "http://system.example", "invoice", class).map(drop).unwrap_err();
        assert!(said.contains(what), "{what}: {said}");
    }
    // Nobody ever looks at class neither: it parks.
    let none = CONNECTOR.replace(within, "");
    assert!(endpoint(&none, "http://system.example", "invoice", ClassChoice::Neither).is_ok());
}
