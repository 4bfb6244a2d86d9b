//! `counterfoil tenants plan|apply|list|show|export` on a real Apache Kafka: from a folder to what is in force, and back.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use common::{Ended, counterfoil, ended, run, write, write_tenant};
use serde_json::Value;
use testkit::kafka;
use topics::{Specs, names};

const QUOTA: &str = "{events_per_second: 1000, burst: 1000}";

/// A region of its own with its topics, and a folder of its tenants.
struct Region {
    name: &'static str,
    dir: tempfile::TempDir,
}

/// Of all that `topics apply` creates these tests need one topic.
async fn control_topic(region: &str) -> anyhow::Result<()> {
    let settings = ::kafka::Settings::new(kafka::shared()?.bootstrap());
    let mut topics = Specs::embedded()?.with_replication(1).all_for(region, &[])?;
    topics.retain(|topic| topic.name == names::control(region));
    Ok(::kafka::admin::apply(&settings, &topics::plan(&topics, &[])).await?)
}

impl Region {
    /// With acme and globex in it, and a tenant of another region.
    fn new(name: &'static str) -> Self {
        let region = Self { name, dir: tempfile::tempdir().unwrap() };
        for tenant in ["acme", "globex"] {
            region.add(tenant);
        }
        write_tenant(&region.tenants(), "far", "elsewhere", QUOTA);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(control_topic(name)).unwrap();
        region
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn tenants(&self) -> PathBuf {
        self.path("tenants")
    }

    fn add(&self, tenant: &str) {
        write_tenant(&self.tenants(), tenant, self.name, QUOTA);
        let below = |file: &str| self.tenants().join(tenant).join(file);
        write(
            &below("connections/erp.yaml"),
            "connection: erp\nconnector: sandbox\nbase_url: https://erp.example.com\ntoken: env:ERP_TOKEN\n",
        );
        write(&below("routes/orders.yaml"), "route: orders\non: [order.created]\nto: erp\n");
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.tenants().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn command(&self, arguments: &[&str], tenants: &str) -> Command {
        let mut command = counterfoil(arguments);
        command.args(["--bootstrap", kafka::shared().unwrap().bootstrap(), "--region", self.name]).args([
            "--tenants",
            tenants,
            "--replication",
            "1",
        ]);
        command
    }

    /// `counterfoil tenants …` about this region's folder.
    fn run(&self, arguments: &[&str]) -> Ended {
        self.about(&self.tenants().display().to_string(), arguments)
    }

    fn about(&self, tenants: &str, arguments: &[&str]) -> Ended {
        run(&mut self.command(&[&["tenants"], arguments].concat(), tenants))
    }

    fn hash(&self) -> String {
        self.run(&["plan", "--json"]).json()["plan"].as_str().unwrap().to_owned()
    }

    fn apply(&self, more: &[&str]) -> Ended {
        let hash = self.hash();
        self.run(&[&["apply", "--plan", &hash, "--operator", "ann"], more].concat())
    }

    /// Tenant, revision, and whether it is removed, of all that is applied.
    fn applied(&self) -> Vec<(String, u64, bool)> {
        let listed = self.run(&["list", "--json"]).json();
        let row = |row: &Value| {
            let text = row["tenant"].as_str().unwrap().to_owned();
            (text, row["revision"].as_u64().unwrap(), row["removed"].as_bool().unwrap())
        };
        listed["tenants"].as_array().unwrap().iter().map(row).collect()
    }
}

#[test]
fn from_a_folder_into_force_and_back_into_a_folder() {
    let region = Region::new("cli-tenants");
    assert_eq!(region.run(&["list"]).has_code(0).out, "nothing is applied\n");
    let planned = region.run(&["plan"]);
    let told = &planned.has_code(2).out;
    assert!(told.starts_with("+ acme: added, revision 1\n"), "{told}");
    assert!(told.contains("= route orders (order): guarantees U exactly_once (look up; "), "{told}");
    assert!(told.contains("\n+ globex: added, revision 1\n") && !told.contains("far"), "{told}");
    assert!(told.ends_with(&format!("plan {}\n", region.hash())), "{told}");

    let file = region.path("plan.json").display().to_string();
    region.run(&["plan", "--out", &file]).has_code(2);
    let applied =
        region.run(&["apply", "--plan", &file, "--operator", "ann", "--reason", "go live", "--json"]);
    let document = applied.has_code(0).json();
    assert_eq!((&document["applied"], document["written"].as_array().map(Vec::len)), (&true.into(), Some(2)));
    assert_eq!(document["tenants"], document["written"]);
    let created = format!("cf.{}.dlq.acme.v1: created", region.name);
    assert!(applied.err.contains(&created) && !applied.err.contains("dlq.far"), "{applied:?}");

    assert_eq!(region.applied(), [("acme".into(), 1, false), ("globex".into(), 1, false)]);
    let shown = region.run(&["show", "acme"]);
    assert!(
        shown.out.contains(" by ann: go live\n") && shown.out.contains("token: env:ERP_TOKEN"),
        "{shown:?}"
    );
    region.run(&["show", "nobody"]).failed_with("CFG-0309", "acme, globex");

    let nothing = region.run(&["plan"]);
    assert_eq!(nothing.has_code(0).out, "2 unchanged\nnothing to do\n");
    let again = region.run(&["apply", "--plan", &file, "--operator", "ann"]);
    assert_eq!(again.has_code(0).out, "nothing to do\n");

    let exported = region.path("exported").display().to_string();
    region.run(&["export", &exported]).has_code(0);
    assert_eq!(region.about(&exported, &["plan"]).has_code(0).out, "2 unchanged\nnothing to do\n");
    region.run(&["export", &exported]).failed_with("CFG-0308", "acme");
}

#[test]
fn a_change_is_told_in_words_and_a_stale_plan_is_refused() {
    let region = Region::new("cli-tenants-edit");
    region.apply(&[]).has_code(0);
    region.edit("acme/connections/erp.yaml", "env:ERP_TOKEN", "env:ERP_TOKEN\nclass: neither");
    region.edit("acme/connections/erp.yaml", "erp.example", "erp2.example");
    let read = region.hash();
    let told = region.run(&["plan"]).out;
    for line in [
        "~ acme: changed, revision 2\n",
        "    connection erp: base_url: https://erp.example.com → https://erp2.example.com\n",
        "    connection erp: class: added, neither\n",
        "    = route orders (order): guaranteed U exactly_once (look up; ",
        "), now N at_most_once (hold in doubt)\n",
        "    ! connection `erp` leads to another address, and is not paused",
        "    ! route `orders` falls to class N",
        "1 unchanged\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let plan = region.run(&["plan", "--json"]).json();
    let route = &plan["tenants"][0]["guarantees"][0];
    assert_eq!((&route["before"]["class"], &route["after"]["class"]), (&"U".into(), &"N".into()), "{plan:#}");

    region.edit("globex/tenant.yaml", "name: globex", "name: Globex");
    let apply =
        |more: &[&str]| region.run(&[&["apply", "--plan", &read, "--operator", "bob"], more].concat());
    apply(&[]).failed_with("CFG-0130", &read);
    region.edit("globex/tenant.yaml", "name: Globex", "name: globex");
    apply(&[]).has_code(0);
    assert_eq!(region.applied(), [("acme".into(), 2, false), ("globex".into(), 1, false)]);

    region.edit("acme/tenant.yaml", "name: acme", "name: Acme");
    apply(&[]).failed_with("CFG-0130", "stale");
    region.run(&["apply", "--plan", "0123", "--operator", "bob"]).failed_with("CFG-0138", "0123");
}

#[test]
fn a_removal_must_be_named_and_other_refusals_touch_nothing() {
    let region = Region::new("cli-tenants-gone");
    region.apply(&[]).has_code(0);
    fs::rename(region.tenants().join("globex"), region.path("globex")).unwrap();
    let told = region.run(&["plan"]);
    assert!(
        told.has_code(2).out.contains("- globex: removed, if `--remove` names it, revision 2\n"),
        "{told:?}"
    );
    region.apply(&[]).failed_with("CFG-0131", "globex");
    region.apply(&["--remove", "globex", "--remove", "acme"]).failed_with("CFG-0131", "acme");
    assert_eq!(region.applied().len(), 2);
    assert_eq!(
        region.apply(&["--remove", "globex"]).has_code(0).out,
        "globex: revision 2 removed\napplied\n"
    );
    assert_eq!(region.applied(), [("acme".into(), 1, false), ("globex".into(), 2, true)]);
    assert!(
        region.run(&["show", "globex"]).out.contains("--- routes/orders.yaml"),
        "a removal keeps the files"
    );
    assert_eq!(region.run(&["plan"]).has_code(0).out, "1 unchanged\nnothing to do\n");

    region.edit("acme/tenant.yaml", "name: acme\n", "name: acme\nshards: 8\n");
    region.apply(&[]).failed_with("CFG-0136", "acme");
    region.apply(&["--allow-shards", "acme"]).has_code(0);

    // Secrets are references: a value never reaches the topic, nor the terminal.
    region.edit("acme/connections/erp.yaml", "env:ERP_TOKEN", "hunter2-hunter2-hunter2");
    for ended in
        [region.run(&["plan"]), region.run(&["apply", "--plan", &"0".repeat(64), "--operator", "ann"])]
    {
        ended.failed_with("CFG-0134", "1 problem");
        assert!(ended.err.contains("CFG-0110") && !format!("{ended:?}").contains("hunter2"), "{ended:?}");
    }
    assert_eq!(region.applied(), [("acme".into(), 2, false), ("globex".into(), 2, true)]);
}

/// An empty folder is a wrong folder, until somebody says otherwise; and then every tenant is to be named as ever.
#[test]
fn the_last_tenant_goes_only_if_it_is_said_that_the_folder_is_empty() {
    let region = Region::new("cli-tenants-last");
    region.apply(&[]).has_code(0);
    let (empty, nowhere) = (region.path("empty"), region.path("emtpy"));
    write(&empty.join("README.md"), "Nobody is here any more.\n");
    let empty = empty.display().to_string();
    let about = |arguments: &[&str]| region.about(&empty, arguments);
    let refused = about(&["plan"]);
    refused.failed_with("CFG-0134", "1 problem");
    assert!(
        refused.err.contains("the folder holds no tenant") && refused.err.contains("--allow-empty"),
        "{refused:?}"
    );
    let planned = about(&["plan", "--allow-empty", "--json"]);
    let hash = planned.has_code(2).json()["plan"].as_str().unwrap().to_owned();
    let apply = |more: &[&str]| about(&[&["apply", "--plan", &hash, "--operator", "ann"], more].concat());
    let both = ["--remove", "acme", "--remove", "globex"];
    apply(&both).failed_with("CFG-0134", "1 problem");
    apply(&["--allow-empty"]).failed_with("CFG-0131", "`acme`, `globex`");
    apply(&["--allow-empty", "--remove", "acme"]).failed_with("CFG-0131", "globex");
    let missing = region.about(&nowhere.display().to_string(), &["plan", "--allow-empty"]);
    missing.failed_with("CFG-0134", "1 problem");
    assert!(missing.err.contains("emtpy") && !missing.err.contains("say so with"), "{missing:?}");
    assert_eq!(region.applied(), [("acme".into(), 1, false), ("globex".into(), 1, false)]);

    apply(&[&["--allow-empty"], &both[..]].concat()).has_code(0);
    assert_eq!(region.applied(), [("acme".into(), 2, true), ("globex".into(), 2, true)]);
    assert_eq!(about(&["plan", "--allow-empty"]).has_code(0).out, "0 unchanged\nnothing to do\n");
    region.apply(&[]).has_code(0);
    assert_eq!(region.applied(), [("acme".into(), 3, false), ("globex".into(), 3, false)]);
}

/// Both have read the same plan's base. Each changes both tenants, so a mixture would show.
#[test]
fn of_two_applies_at_once_exactly_one_wins() {
    let region = Region::new("cli-tenants-race");
    region.apply(&[]).has_code(0);
    let checkouts: Vec<(String, String, String)> = ["bob", "eve"]
        .map(|operator| {
            for tenant in ["acme", "globex"] {
                write_tenant(&region.tenants(), tenant, region.name, QUOTA);
                let file = region.tenants().join(tenant).join("tenant.yaml");
                fs::write(&file, fs::read_to_string(&file).unwrap() + &format!("owner: {operator}\n"))
                    .unwrap();
            }
            let folder = region.path(operator);
            let copied = Command::new("cp").arg("-r").args([&region.tenants(), &folder]).status().unwrap();
            assert!(copied.success());
            (operator.to_owned(), folder.display().to_string(), region.hash())
        })
        .into();
    let commands: Vec<Command> = checkouts
        .iter()
        .map(|(operator, folder, hash)| {
            region.command(&["tenants", "apply", "--plan", hash, "--operator", operator, "--json"], folder)
        })
        .collect();
    let start = |mut c: Command| c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running: Vec<Child> = commands.into_iter().map(start).collect();
    let ended: Vec<Ended> =
        running.into_iter().map(|child| ended(child.wait_with_output().unwrap())).collect();
    let won: Vec<usize> = (0..2).filter(|i| ended[*i].code == Some(0)).collect();
    assert_eq!(won.len(), 1, "{ended:?}");
    let lost = &ended[1 - won[0]];
    let line = lost.err.lines().last().unwrap();
    assert!(line.starts_with("error: CFG-0130: ") || line.starts_with("error: CFG-0132: "), "{lost:?}");

    let winner = &checkouts[won[0]].0;
    assert_eq!(region.applied(), [("acme".into(), 2, false), ("globex".into(), 2, false)]);
    for tenant in ["acme", "globex"] {
        let shown = region.run(&["show", tenant, "--json"]).json();
        assert_eq!(shown["operator"], **winner);
        let text = shown["files"]["tenant.yaml"].as_str().unwrap();
        assert!(text.ends_with(&format!("owner: {winner}\n")), "{text}");
    }
}

#[test]
fn a_definition_that_only_the_services_have_is_named_here_too() {
    let region = Region::new("cli-tenants-own");
    let own = region.path("own").display().to_string();
    run(&mut counterfoil(&["connector", "new", "house", "--dir", &own])).has_code(0);
    fs::remove_dir_all(region.path("own/house")).unwrap(); // without a mapping of its own
    for tenant in ["acme", "globex"] {
        fs::remove_dir_all(region.tenants().join(tenant).join("routes")).unwrap();
        region.edit(&format!("{tenant}/connections/erp.yaml"), "sandbox", "house");
    }
    let route = region.tenants().join("acme/routes/invoices.yaml");
    write(&route, "route: invoices\non: [invoice.posted]\nto: erp\n");
    let unknown = region.run(&["plan"]);
    unknown.failed_with("CFG-0134", "1 problem");
    assert!(unknown.err.contains("CFG-0121"), "{unknown:?}");
    let plan = region.run(&["plan", "--connectors", &own, "--json"]);
    let hash = plan.has_code(2).json()["plan"].as_str().unwrap().to_owned();
    let apply = ["apply", "--plan", &hash, "--operator", "ann"];
    region.run(&apply).failed_with("CFG-0134", "1 problem");
    region.run(&[&apply[..], &["--connectors", &own]].concat()).has_code(0);
}

#[test]
fn without_a_control_topic_it_says_so() {
    let region = Region { name: "cli-tenants-none", dir: tempfile::tempdir().unwrap() };
    region.add("acme");
    region.run(&["plan"]).failed_with("TOP-0104", "cf.cli-tenants-none.platform.control.v1");
}

/// What `plan` said of guarantees and payloads it said of the definitions and mappings that it saw.
#[test]
fn a_connector_that_has_changed_makes_a_plan_stale_and_is_a_change() {
    let region = Region::new("cli-connectors");
    let (definition, mapping) = ("mine/sandbox.yaml", "mine/sandbox/mappings/order.vrl");
    let sandbox = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors/sandbox.yaml");
    write(&region.path(definition), &fs::read_to_string(sandbox).unwrap());
    write(&region.path(mapping), ".number = .id\n");
    let mine = region.path("mine").display().to_string();
    let run = |arguments: &[&str]| region.run(&[arguments, &["--connectors", &mine]].concat());
    let hash = || run(&["plan", "--json"]).json()["plan"].as_str().unwrap().to_owned();
    let apply = |hash: &str| run(&["apply", "--plan", hash, "--operator", "ann"]);

    let read = hash();
    write(&region.path(mapping), ".number = .id + \"?\"\n");
    apply(&read).failed_with("CFG-0130", "stale");
    assert_eq!(region.applied(), []);
    apply(&hash()).has_code(0);
    assert_eq!(run(&["plan"]).has_code(0).out, "2 unchanged\nnothing to do\n");

    let text = fs::read_to_string(region.path(definition)).unwrap();
    write(&region.path(definition), &text.replace("code: [unavailable, busy]", "code: [unavailable]"));
    let planned = run(&["plan"]);
    let told = &planned.has_code(2).out;
    assert!(
        told.starts_with("~ acme: changed, revision 2\n    connector sandbox: definition and mappings: "),
        "{told}"
    );
    apply(&hash()).has_code(0);
    assert_eq!(region.applied(), [("acme".into(), 2, false), ("globex".into(), 2, false)]);
    let listed = region.run(&["list", "--json"]).json();
    assert_eq!(listed["tenants"][0]["connectors"]["sandbox"].as_str().map(str::len), Some(64), "{listed:#}");
}
