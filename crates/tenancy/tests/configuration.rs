//! The configuration as a user meets it: a folder of files, and what is said about its mistakes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path, time::Duration};

use event::RouteId;
use secrecy::ExposeSecret;
use tenancy::{
    CostBucket, Environment, Given, Limits, OnUnknown, PerTime, RequestQuota, SecretSource, Shares,
    TargetClass, TenantSet,
};

const KEY: &str = "key-of-acme-0123456789";
const TENANT: &str = "tenant: acme
name: Acme
region: eu
api_keys: [{id: shop, secret: \"env:ACME_KEY\"}]
quota: {events_per_second: 10, burst: 20}
";
const ERP: &str = "connection: erp
connector: sandbox
base_url: \"${ERP_URL:-http://127.0.0.1:8085}/acme/\"
class: upsert
token: file:/run/secrets/erp
timeout: 2s
limits: {concurrency: 3}
";
const INVOICES: &str =
    "route: invoices\non: [\"invoice.*\", payment.received]\nto: erp\npolicy: {on_unknown: resend}\n";

fn secrets() -> Given {
    Given::new([
        ("ACME_KEY", KEY),
        ("OTHER_KEY", "key-of-other-0123456789"),
        ("HOOK", "whsec_current"),
        ("HOOK_OLD", "whsec_before"),
    ])
    .with_file("/run/secrets/erp", "token-of-erp\n")
}

/// A folder with a valid tenant `acme`, and `changes` on top (`None` removes a file).
fn folder(changes: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let valid = [
        ("acme/tenant.yaml", Some(TENANT)),
        ("acme/connections/erp.yaml", Some(ERP)),
        ("acme/routes/invoices.yaml", Some(INVOICES)),
    ];
    for (file, text) in valid.iter().chain(changes) {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
    }
    dir
}

/// Each problem as its line, without the temporary folder.
fn problems_with(changes: &[(&str, Option<&str>)], source: &dyn SecretSource) -> Vec<String> {
    let dir = folder(changes);
    let errors = TenantSet::load(dir.path(), source).expect_err("the configuration should be refused");
    let prefix = dir.path().display().to_string();
    let below = |text: String| text.replace(&format!("{prefix}/"), "").replace(&prefix, ".");
    errors.problems().iter().map(|p| below(p.to_string())).collect()
}

fn problems(changes: &[(&str, Option<&str>)]) -> Vec<String> {
    problems_with(changes, &secrets())
}

#[test]
fn a_valid_folder_is_read_in_full() {
    let dir = folder(&[("README.md", Some("notes")), ("acme/mappings/tests/x.a.yaml", Some("."))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    assert_eq!(set.iter().len(), 1);
    let acme = set.tenant(&"acme".parse().unwrap()).unwrap();
    assert_eq!((acme.name.as_str(), acme.region.as_str(), acme.shards), ("Acme", "eu", 4));
    assert_eq!((acme.quota.events_per_second.get(), acme.quota.burst.get()), (10, 20));
    let erp = &acme.connections["erp"];
    assert_eq!(erp.base_url.as_deref(), Some("http://127.0.0.1:8085/acme"));
    assert_eq!(
        (erp.class.all, erp.limits.concurrency, erp.timeout),
        (Some(TargetClass::Upsert), Some(3), Duration::from_secs(2))
    );
    assert_eq!(erp.secrets["token"][0].expose_secret(), "token-of-erp");
    let routes = acme.routes_for("invoice.voided".parse().unwrap());
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].id, RouteId::derive(&acme.id, "invoices"));
    assert_eq!((routes[0].on.len(), routes[0].on_unknown), (5, OnUnknown::Resend));
    assert_eq!(acme.routes_for("payment.received".parse().unwrap()).len(), 1);
    assert!(acme.routes_for("payment.failed".parse().unwrap()).is_empty());
}

#[test]
fn a_key_names_its_tenant_and_nothing_else_does() {
    let dir = folder(&[]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    assert_eq!(set.by_api_key(KEY).unwrap().id.as_str(), "acme");
    for wrong in ["", "key-of-acme-012345678", "key-of-acme-01234567890", &"k".repeat(1_000_000)] {
        assert!(set.by_api_key(wrong).is_none());
    }
}

#[test]
fn variables_go_into_base_urls() {
    let dir = folder(&[]);
    let source = Given::new([("ERP_URL", "https://erp.example.com")]).or(secrets());
    let set = TenantSet::load(dir.path(), &source).unwrap();
    let acme = set.tenant(&"acme".parse().unwrap()).unwrap();
    assert_eq!(acme.connections["erp"].base_url.as_deref(), Some("https://erp.example.com/acme"));
    let unset = ERP.replace("${ERP_URL:-http://127.0.0.1:8085}", "${NO_SUCH_URL}");
    assert_eq!(
        problems(&[("acme/connections/erp.yaml", Some(&unset))]),
        ["acme/connections/erp.yaml:3:11: CFG-0112: variable `NO_SUCH_URL` is not set; \
          set it, or write a default: `${NO_SUCH_URL:-…}`"]
    );
}

#[test]
fn a_poll_says_what_is_asked_and_by_whose_key() {
    let poll = |poll: &str| {
        format!("connection: erp2\nconnector: tryton\nbase_url: https://erp.example.com\npoll: {poll}\n")
    };
    let whole = poll("{source: books, objects: [order, invoice], every: 10s, api_key: \"env:ACME_KEY\"}");
    let file = "acme/connections/erp2.yaml";
    let dir = folder(&[(file, Some(&whole))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let found = set.tenant(&"acme".parse().unwrap()).unwrap().connections["erp2"].poll.as_ref().unwrap();
    assert_eq!((found.source.as_str(), found.every), ("books", Duration::from_secs(10)));
    assert_eq!(
        (found.objects.as_slice(), found.api_key.expose_secret()),
        (&["order".to_owned(), "invoice".to_owned()][..], KEY)
    );

    let says = |text: &str, what: &str| {
        let problems = problems_with(&[(file, Some(&poll(text)))], &secrets());
        assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:?}");
    };
    says("{objects: [order], api_key: a-key-in-the-open}", "CFG-0110");
    says("{objects: [], api_key: \"env:ACME_KEY\"}", "`objects` is empty");
    says("{objects: [order], api_key: \"env:ACME_KEY\", often: 1s}", "often");
    says("{objects: [order], api_key: \"env:ACME_KEY\", every: 1ms}", "every");
    says("{objects: [order]}", "api_key");
}

#[test]
fn webhooks_take_several_secrets_while_one_is_rotated() {
    let stripe = "connection: stripe\nconnector: stripe\nwebhook: {scheme: stripe, secrets: [env:HOOK, env:HOOK_OLD]}\n";
    let dir = folder(&[("acme/connections/stripe.yaml", Some(stripe))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let stripe = &set.tenant(&"acme".parse().unwrap()).unwrap().connections["stripe"];
    let webhook = stripe.webhook.as_ref().unwrap();
    assert_eq!((webhook.scheme.as_str(), webhook.source.as_str()), ("stripe", "stripe"));
    let known: Vec<_> = webhook.secrets.iter().map(|s| s.expose_secret().to_owned()).collect();
    assert_eq!(known, ["whsec_current", "whsec_before"]);
    assert_eq!(
        (stripe.base_url.as_deref(), stripe.limits.concurrency, stripe.timeout),
        (None, None, Duration::from_secs(10))
    );
}

#[test]
fn a_connection_gives_values_and_secrets() {
    let erp = "connection: erp\nconnector: sandbox\nvalues: {account: 1234567, login: '${LOGIN:-https://l.example}'}\n\
               secrets: {key: env:HOOK, client_secret: [env:HOOK, env:HOOK_OLD]}\ntoken: file:/run/secrets/erp\n";
    let dir = folder(&[("acme/connections/erp.yaml", Some(erp))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let erp = &set.tenant(&"acme".parse().unwrap()).unwrap().connections["erp"];
    assert_eq!(
        (erp.values["account"].as_str(), erp.values["login"].as_str()),
        ("1234567", "https://l.example")
    );
    let known =
        |name: &str| erp.secrets[name].iter().map(|s| s.expose_secret().to_owned()).collect::<Vec<_>>();
    assert_eq!(known("client_secret"), ["whsec_current", "whsec_before"]);
    assert_eq!(
        (known("key"), known("token")),
        (vec!["whsec_current".to_owned()], vec!["token-of-erp".to_owned()])
    );
    assert_eq!((erp.given_at["login"].line, erp.given_at["client_secret"].line), (3, 4));
    let shown = format!("{erp:?}");
    assert!(!shown.contains("whsec") && !shown.contains("token-of-erp"), "{shown}");

    let wrong = "connection: erp\nconnector: sandbox\nbase_url: https://x.example\n\
                 values: {account: [1], key: x, big: \"a\\nb\"}\n\
                 secrets: {key: plain-text, three: [env:HOOK, env:HOOK, env:HOOK], gone: env:GONE}\n\
                 token: env:HOOK\n";
    let found = problems(&[("acme/connections/erp.yaml", Some(wrong))]);
    let expected = [
        "acme/connections/erp.yaml:4:19: CFG-0105: `account` must be a text or a whole number, found a list",
        "acme/connections/erp.yaml:4:37: CFG-0106: `big` is longer than 4096 bytes, or has control characters",
        "acme/connections/erp.yaml:5:11: CFG-0109: `key` is under `values` too, in line 4",
        "acme/connections/erp.yaml:5:16: CFG-0110: a secret must be a reference, `env:NAME` or `file:/path`, not the secret itself",
        "acme/connections/erp.yaml:5:35: CFG-0106: `three` is one reference, or two while the secret is rotated, the new one first",
        "acme/connections/erp.yaml:5:73: CFG-0110: variable `GONE` is not set",
    ];
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn every_problem_of_every_file_is_reported_with_place_code_and_suggestion() {
    let found = problems(&[
        ("acme/tenant.yaml", Some("tenant: acme\nnam: Acme\nregion: EU\nshards: \"4\"\nquota: {burst: 5}\n")),
        (
            "acme/connections/erp.yaml",
            Some("connection: erp\nconnector: sandbox\nbase_url: ftp://x\nclass: upsrt\ntimeout: 10\n"),
        ),
        ("acme/routes/invoices.yaml", Some("route: invoices\non: [invoice.post, bill.*]\nto: crm\n")),
    ]);
    let expected = [
        "acme/connections/erp.yaml:3:11: CFG-0106: `base_url` `ftp://x` must begin with http:// or https://",
        "acme/connections/erp.yaml:4:8: CFG-0106: `class` must be one of keyed, upsert, neither, not `upsrt`; did you mean `upsert`?",
        "acme/connections/erp.yaml:5:10: CFG-0105: `timeout` must be a text, found a whole number; put it in quotes if it is meant as text",
        "acme/routes/invoices.yaml:2:6: CFG-0106: `invoice.post` is not an event type: `invoice` knows posted, updated, paid, voided; did you mean `invoice.posted`?",
        "acme/routes/invoices.yaml:2:20: CFG-0106: `bill` is not a canonical object",
        "acme/tenant.yaml:1:1: CFG-0104: field `name` is missing",
        "acme/tenant.yaml:2:1: CFG-0103: unknown field `nam`; did you mean `name`?",
        "acme/tenant.yaml:3:9: CFG-0106: `region` is `EU`, but a name has 1 to 63 characters of a-z, 0-9 and `-`, and starts and ends with a letter or digit",
        "acme/tenant.yaml:4:9: CFG-0105: `shards` must be a whole number, found a text",
        "acme/tenant.yaml:5:8: CFG-0104: field `events_per_second` is missing",
    ];
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn references_must_lead_somewhere() {
    let to = |name: &str| INVOICES.replace("to: erp", &format!("to: {name}"));
    assert_eq!(
        problems(&[("acme/routes/invoices.yaml", Some(&to("erpp")))]),
        ["acme/routes/invoices.yaml:3:5: CFG-0108: there is no connection `erpp`; did you mean `erp`?"]
    );
    let shop = "connection: shop\nconnector: shopify\n";
    assert_eq!(
        problems(&[
            ("acme/connections/shop.yaml", Some(shop)),
            ("acme/routes/invoices.yaml", Some(&to("shop")))
        ]),
        [
            "acme/routes/invoices.yaml:3:5: CFG-0108: connection `shop` has no `base_url`, so nothing can be delivered to it"
        ]
    );
    // A connection that is wrong is one complaint, not one more for each route to it.
    let found = problems(&[("acme/connections/erp.yaml", Some("connection: erp\n"))]);
    assert_eq!(found, ["acme/connections/erp.yaml:1:1: CFG-0104: field `connector` is missing"]);
}

#[test]
fn names_repeat_their_place_and_some_are_reserved() {
    let found = problems(&[("acme/routes/copy.yaml", Some(INVOICES))]);
    assert_eq!(
        found,
        [
            "acme/routes/copy.yaml:1:8: CFG-0107: `route` is `invoices`, but the name of its file or folder is `copy`; \
          write `route: copy` or rename"
        ]
    );
    for reserved in ["platform", "unattributed"] {
        let file = format!("{reserved}/tenant.yaml");
        let found = problems(&[(&file, Some(&format!("tenant: {reserved}\nname: X\nregion: eu\n")))]);
        assert_eq!(
            found,
            [format!("{file}:1:1: CFG-0106: tenant id `{reserved}` is reserved for the platform")]
        );
    }
}

#[test]
fn two_routes_must_not_post_the_same_event_twice() {
    let second = "route: more\non: [invoice.paid]\nto: erp\n";
    assert_eq!(
        problems(&[("acme/routes/more.yaml", Some(second))]),
        [
            "acme/routes/more.yaml:2:5: CFG-0113: `invoice.paid` already goes to `erp` by route `invoices`; both would post it"
        ]
    );
    let other_object = format!("{second}object: journal_entry\n");
    let dir = folder(&[("acme/routes/more.yaml", Some(&other_object))]);
    assert!(TenantSet::load(dir.path(), &secrets()).is_ok());
}

#[test]
fn a_key_or_webhook_source_cannot_belong_to_two() {
    let other = TENANT.replace("acme", "other");
    assert_eq!(
        problems(&[("other/tenant.yaml", Some(&other))]),
        [
            "other/tenant.yaml:4:31: CFG-0109: this key is already a key of tenant `acme`; a key names one tenant"
        ]
    );
    let hook = |name: &str| {
        format!("connection: {name}\nconnector: stripe\nwebhook: {{scheme: stripe, secrets: [env:HOOK]}}\n")
    };
    assert_eq!(
        problems(&[
            ("acme/connections/a.yaml", Some(&hook("a"))),
            ("acme/connections/b.yaml", Some(&hook("b")))
        ]),
        [
            "acme/connections/b.yaml:3:10: CFG-0109: webhook source `stripe` is already that of connection `a`; \
          give each its own `source`: event ids derive from it"
        ]
    );
}

#[test]
fn stray_files_and_broken_yaml_are_reported() {
    let found = problems(&[
        ("acme/route/x.yaml", Some("a: 1")),
        ("acme/routes/x.yml", Some("a: 1")),
        ("notes.txt", Some("")),
        ("acme/tenant.yaml", Some("tenant: acme\ntenant: acme\n")),
        ("empty/README.md", Some("")),
    ]);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert_eq!(
        found[0],
        ".: CFG-0114: `notes.txt` is not read: this folder holds one folder for each tenant"
    );
    assert_eq!(found[1], "acme: CFG-0114: `route` is not read by anything; did you mean `routes`?");
    assert_eq!(
        found[2],
        "acme: CFG-0114: `routes/x.yml` is not read by anything; rename it to `routes/x.yaml`"
    );
    assert!(
        found[3].starts_with("acme/tenant.yaml:2:1: CFG-0102: not valid YAML: duplicate"),
        "{}",
        found[3]
    );
    assert_eq!(found[4], "empty/tenant.yaml: CFG-0101: there is no such file, and every tenant needs one");
    let missing = TenantSet::load(Path::new("/no/such/folder"), &secrets()).unwrap_err();
    assert_eq!(missing.code(), "CFG-0101");
    let empty = tempfile::tempdir().unwrap();
    assert!(TenantSet::load(empty.path(), &secrets()).unwrap_err().to_string().contains("holds no tenant"));
}

#[test]
fn secrets_are_references_strong_enough_and_never_shown() {
    let with = |secret: &str| TENANT.replace("env:ACME_KEY", secret);
    let given = Given::new([("WEAK", "hunter2-hunter2")]).or(secrets());
    let cases = [
        ("env:NOWHERE", "CFG-0110: variable `NOWHERE` is not set"),
        ("file:/none", "CFG-0110: file `/none` cannot be read: entity not found"),
        ("file:relative", "CFG-0110: file `relative` must be given by its absolute path"),
        (
            "plain-secret-hunter2",
            "CFG-0110: a secret must be a reference, `env:NAME` or `file:/path`, not the secret itself",
        ),
        ("env:WEAK", "CFG-0111: the secret behind `env:WEAK` is shorter than 16 characters"),
    ];
    for (reference, message) in cases {
        let found = problems_with(&[("acme/tenant.yaml", Some(&with(reference)))], &given);
        assert_eq!(found, [format!("acme/tenant.yaml:4:31: {message}")]);
        assert!(!found[0].contains("hunter2"));
    }
    // Broken YAML around a secret that should not be there: no snippet of the file is printed.
    let broken = "tenant: acme\napi_keys: [{secret: plain-secret-hunter2\n";
    assert!(!problems(&[("acme/tenant.yaml", Some(broken))]).concat().contains("hunter2"));
    let dir = folder(&[]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let shown = format!("{set:?} {:?}", secrets());
    assert!(!shown.contains(KEY) && !shown.contains("token-of-erp") && shown.contains("REDACTED"), "{shown}");
}

#[test]
fn files_and_variables_of_the_machine_are_read_and_limited() {
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (dir.path().join("small"), dir.path().join("large"));
    fs::write(&small, "secret\n").unwrap();
    fs::write(&large, "x".repeat(64 * 1024 + 1)).unwrap();
    assert_eq!(Environment.file(&small).unwrap().as_str(), "secret\n");
    assert!(Environment.file(&large).is_err());
    assert!(Environment.variable("CARGO_MANIFEST_DIR").is_some());
    assert!(Environment.variable("COUNTERFOIL_NO_SUCH_VARIABLE").is_none());
}

#[test]
fn every_kind_of_limit_is_read() {
    let limits =
        |text: &str| format!("connection: erp\nconnector: sandbox\nbase_url: http://x\nlimits: {text}\n");
    let read = limits(
        "{concurrency: 4, rate: {max: 60, per: 1m}, quota: {max: 5000, reserve_percent: 20}, \
         cost_bucket: {capacity: 1000, per_second: 50, request: 10}, exec_time: {max: 20m}, serialize_on: customer.id, bulk: 50, \
         shares: {live: 10, redrive: 3}, raised: {rate: bought in May}}",
    );
    let dir = folder(&[("acme/connections/erp.yaml", Some(&read))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let acme = set.tenant(&"acme".parse().unwrap()).unwrap();
    let per_time = |max, seconds| Some(PerTime { max, per: Duration::from_secs(seconds) });
    let expected = Limits {
        concurrency: Some(4),
        rate: per_time(60, 60),
        quota: per_time(5_000, 86_400).map(|whole| RequestQuota { whole, reserve_percent: 20 }),
        cost_bucket: Some(CostBucket { capacity: 1_000, per_second: 50, request: Some(10) }),
        exec_time: per_time(1_200_000, 300),
        serialize_on: Some("customer.id".to_owned()),
        bulk: 50,
        shares: Shares { live: 10, redrive: 3, backfill: 1 },
        raised: [("rate".to_owned(), "bought in May".to_owned())].into(),
    };
    assert_eq!((&acme.connections["erp"].limits, acme.weight), (&expected, 1));
    let wrong = limits(
        "{rate: {per: 1m}, cost_bucket: {capacity: 5, per_second: 1, request: 6}, rates: 3, shares: {live: 0}}",
    );
    let found = problems(&[("acme/connections/erp.yaml", Some(&wrong))]);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found.iter().any(|p| p.contains("CFG-0104") && p.contains("field `max` is missing")),
        "{found:#?}"
    );
    assert!(found.iter().any(|p| p.contains("`request` must be 1 to 5, not 6")), "{found:#?}");
    assert!(found.iter().any(|p| p.contains("`live` must be 1 to 1000, not 0")), "{found:#?}");
    assert!(found.iter().any(|p| p.contains("unknown field `rates`") && p.contains("rate")), "{found:#?}");
}

#[test]
fn a_reason_belongs_to_a_limit() {
    let limits =
        |text: &str| format!("connection: erp\nconnector: sandbox\nbase_url: http://x\nlimits: {text}\n");
    for (text, said) in [
        (
            "{raised: {rate: bought}}",
            "acme/connections/erp.yaml:4:25: CFG-0106: `raised` has a reason for `rate`, which",
        ),
        ("{concurrency: 3, raised: {concurrency: \" \"}}", "`concurrency` is empty"),
        (
            "{concurrency: 3, raised: {concurency: bought}}",
            "unknown field `concurency`; did you mean `concurrency`?",
        ),
        ("{concurrency: 3, raised: bought}", "expected a mapping"),
    ] {
        let found = problems(&[("acme/connections/erp.yaml", Some(&limits(text)))]);
        assert!(found.iter().any(|problem| problem.contains(said)), "{text}: {found:#?}");
    }
}

#[test]
fn a_class_may_be_said_of_single_objects() {
    let class =
        |text: &str| format!("connection: erp\nconnector: sandbox\nbase_url: http://x\nclass: {text}\n");
    let dir =
        folder(&[("acme/connections/erp.yaml", Some(&class("{customer: keyed, invoice.void: neither}")))]);
    let set = TenantSet::load(dir.path(), &secrets()).unwrap();
    let said = &set.tenant(&"acme".parse().unwrap()).unwrap().connections["erp"].class;
    assert_eq!(
        (said.of("customer"), said.of("invoice.void"), said.of("invoice")),
        (Some(TargetClass::Keyed), Some(TargetClass::Neither), None)
    );
    let found = problems(&[("acme/connections/erp.yaml", Some(&class("{customer: keyd, invoice: upsrt}")))]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("acme/connections/erp.yaml:4:19: CFG-0106: `class` must be one of"),
        "{found:#?}"
    );
}

#[test]
fn a_connection_says_where_it_may_lead() {
    let with = |egress: &str| format!("{ERP}egress: {egress}\n");
    let load = |text: &str| {
        let dir = folder(&[("acme/connections/erp.yaml", Some(text))]);
        let set = TenantSet::load(dir.path(), &secrets()).unwrap();
        set.tenant(&"acme".parse().unwrap()).unwrap().connections["erp"].egress.clone()
    };
    assert_eq!(load(ERP), tenancy::Egress::default(), "nowhere but to public addresses");
    let open = load(&with("{allow_private: true, allow: [10.0.0.0/8, \"fd00::/8\"]}"));
    assert!(open.allow_private);
    assert_eq!(open.allow.len(), 2);
    let wrong = with("{allow_private: yes please, allow: [10.0.0.0/33]}");
    let found = problems(&[("acme/connections/erp.yaml", Some(&wrong))]);
    assert_eq!(
        found,
        [
            "acme/connections/erp.yaml:8:25: CFG-0105: `allow_private` must be true or false, found a text",
            "acme/connections/erp.yaml:8:45: CFG-0106: `10.0.0.0/33` is not a network; \
             write an address and a length, for example 10.20.0.0/16",
        ]
    );
}

#[test]
fn a_policy_may_ask_for_a_guarantee() {
    let asks = INVOICES.replace("resend}", "resend, require: at_least_onc}");
    let found = problems(&[("acme/routes/invoices.yaml", Some(&asks))]);
    assert_eq!(
        found,
        ["acme/routes/invoices.yaml:4:39: CFG-0106: `require` must be one of exactly_once, at_most_once, \
             at_least_once, not `at_least_onc`; did you mean `at_least_once`?"]
    );
}

#[test]
fn a_machine_without_the_secrets_can_check_the_rest() {
    let dir = folder(&[]);
    assert!(TenantSet::load(dir.path(), &Given::default()).is_err());
    let set = TenantSet::load(dir.path(), &tenancy::Offline).unwrap();
    assert!(set.by_api_key(KEY).is_none());
    for (url, stands) in [
        ("${NO_SUCH_URL}", "https://unresolved.invalid"),
        ("https://${NO_SUCH_HOST}:${PORT}/x", "https://unresolved:443/x"),
    ] {
        let text = ERP.replace("${ERP_URL:-http://127.0.0.1:8085}/acme/", url);
        let dir = folder(&[("acme/connections/erp.yaml", Some(&text))]);
        let set = TenantSet::load(dir.path(), &tenancy::Offline).unwrap();
        let acme = set.tenant(&"acme".parse().unwrap()).unwrap();
        assert_eq!(acme.connections["erp"].base_url.as_deref(), Some(stands));
    }
}
