//! Refresh tokens that take the place of one another: none is lost, and none is used twice.
#![allow(clippy::unwrap_used)]

mod signing;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use delivery::Answer;
use secrecy::ExposeSecret as _;
use target::{FileStore, Held, Kept, Secrets, Stored, TokenStore};

use crate::signing::{Gives, Reply, Rig, Seen, System, reply, secret, waits};

const AUTH: &str = "connection: {refresh_token: {type: secret}}\n\
    auth:\n  kind: oauth2_code\n  client: {id: app}\n  refresh_token: '{{conn.refresh_token}}'\n  \
    token: {url: '{{base_url}}/token', expiry: {kind: on_error_class}}";

/// An authorization server of the strict kind: each refresh token holds once, and one that is used again ends it all.
#[derive(Default)]
struct Strict {
    valid: String,
    given: u32,
    revoked: bool,
    access: String,
}

impl Strict {
    fn new(first: &str) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { valid: first.to_owned(), ..Self::default() }))
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        if seen.line != "POST /token" {
            let right = seen.header("authorization") == format!("Bearer {}", self.access);
            return reply(if right { 200 } else { 401 }, "{}");
        }
        if self.revoked || seen.field("refresh_token") != self.valid {
            self.revoked = true;
            return reply(400, r#"{"error":"invalid_grant"}"#);
        }
        self.given += 1;
        self.valid = format!("refresh-{}", self.given);
        self.access = format!("access-{}", self.given);
        reply(200, format!("{{\"access_token\":\"{}\",\"refresh_token\":\"{}\"}}", self.access, self.valid))
    }

    /// The access token does not hold any more.
    fn expire(server: &Mutex<Self>) {
        server.lock().unwrap().access = "none".to_owned();
    }
}

async fn system(server: &Arc<Mutex<Strict>>) -> System {
    let server = Arc::clone(server);
    System::slow(Duration::from_millis(20), move |seen| server.lock().unwrap().answer(seen)).await
}

fn gives(system: &System, store: &Arc<dyn TokenStore>, tokens: &[&str]) -> Gives {
    let tokens: Vec<_> = tokens.iter().map(|token| secret(token)).collect();
    Gives {
        secrets: Secrets::default().with("refresh_token", &tokens),
        store: Some(Arc::clone(store)),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    }
}

fn file_store(dir: &tempfile::TempDir) -> (Arc<dyn TokenStore>, PathBuf) {
    (Arc::new(FileStore::new(dir.path().join("credentials"))), dir.path().join("credentials/acme/erp.json"))
}

/// What the file says at the moment when the system sees the access token for the first time is what a process finds that
/// comes after a crash at that moment.
#[tokio::test]
async fn a_refresh_token_is_on_disk_before_what_came_with_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = file_store(&dir);
    let server = Strict::new("first");
    let at_use: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let system = {
        let (server, at_use, file) = (Arc::clone(&server), Arc::clone(&at_use), file.clone());
        System::start(move |seen| {
            if seen.line == "POST /docs" {
                let kept = fs::read_to_string(&file).unwrap_or_default();
                at_use.lock().unwrap().push((seen.header("authorization").to_owned(), kept));
            }
            server.lock().unwrap().answer(seen)
        })
        .await
    };
    let rig = Rig::new(AUTH, &gives(&system, &store, &["first"]));
    rig.applied().await;
    Strict::expire(&server);
    assert_eq!(waits(&rig.send().await), ("SNK-0006", Some(0)));
    rig.applied().await;
    for (header, kept) in at_use.lock().unwrap().iter() {
        let n = header.strip_prefix("Bearer access-").unwrap();
        assert!(kept.contains(&format!("\"refresh-{n}\"")), "{header} was used while the file said {kept}");
    }
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(file.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the token and its lock: {names:?}");

    // The process is gone; the next one knows the configured token, which is spent, and finds the one that took its place.
    drop(rig);
    Strict::expire(&server);
    let (store, _) = file_store(&dir);
    Rig::new(AUTH, &gives(&system, &store, &["first"])).applied().await;
    assert!(!server.lock().unwrap().revoked);
}

/// A crash between the file beside and its renaming leaves the old one, and no lock.
#[tokio::test]
async fn a_half_written_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = file_store(&dir);
    let kept = |token: &str| Kept { seed: "s".to_owned(), token: secret(token) };
    store.hold("acme", "erp").await.unwrap().keep(&kept("one")).await.unwrap();
    fs::write(file.with_extension("json.new"), "{\"version\":1,\"se").unwrap();
    let read = async |store: &Arc<dyn TokenStore>| {
        let kept = store.hold("acme", "erp").await.unwrap().kept().await.unwrap().unwrap();
        kept.token.expose_secret().to_owned()
    };
    assert_eq!(read(&store).await, "one");
    store.hold("acme", "erp").await.unwrap().keep(&kept("two")).await.unwrap();
    assert_eq!(read(&store).await, "two");
    fs::write(&file, "{}").unwrap();
    let broken = store.hold("acme", "erp").await.unwrap().kept().await.unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::InvalidData);
    assert_eq!(store.hold("../up", "erp").await.map(drop).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

/// Two sinks with one folder: each finds what the other one has stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_the_store_use_no_token_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = Strict::new("first");
    let system = system(&server).await;
    let rigs: Vec<Arc<Rig>> =
        (0..4).map(|_| Arc::new(Rig::new(AUTH, &gives(&system, &file_store(&dir).0, &["first"])))).collect();
    for _ in 0..5 {
        let tasks: Vec<_> = rigs
            .iter()
            .map(|rig| {
                let rig = Arc::clone(rig);
                tokio::spawn(async move { rig.send().await })
            })
            .collect();
        for task in tasks {
            let answer = task.await.unwrap();
            // Each new access token ends the one before, so some are turned away; none loses its way to the next one.
            assert!(matches!(answer, Answer::Applied { .. }) || waits(&answer).0 == "SNK-0006", "{answer:?}");
        }
        Strict::expire(&server);
    }
    let server = server.lock().unwrap();
    assert!(!server.revoked, "a refresh token was used twice");
    assert!(server.given >= 5, "{}", server.given);
}

/// A refresh token that was given anew by a person counts, whatever is stored of the one before.
#[tokio::test]
async fn another_configured_token_takes_the_place_of_the_stored_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = file_store(&dir);
    let server = Strict::new("first");
    let system = system(&server).await;
    Rig::new(AUTH, &gives(&system, &store, &["first"])).applied().await;
    *server.lock().unwrap() = Strict { valid: "second".to_owned(), ..Strict::default() };
    Rig::new(AUTH, &gives(&system, &store, &["second"])).applied().await;
    assert!(!server.lock().unwrap().revoked);
}

/// A store that cannot write, until it can.
#[derive(Debug)]
struct Full {
    inner: FileStore,
    full: Arc<AtomicBool>,
}

struct FullHeld {
    inner: Box<dyn Held>,
    full: Arc<AtomicBool>,
}

impl TokenStore for Full {
    fn hold<'a>(&'a self, tenant: &'a str, connection: &'a str) -> Stored<'a, Box<dyn Held>> {
        Box::pin(async move {
            let inner = self.inner.hold(tenant, connection).await?;
            Ok(Box::new(FullHeld { inner, full: Arc::clone(&self.full) }) as Box<dyn Held>)
        })
    }
}

impl Held for FullHeld {
    fn kept(&mut self) -> Stored<'_, Option<Kept>> {
        self.inner.kept()
    }

    fn keep<'a>(&'a mut self, kept: &'a Kept) -> Stored<'a, ()> {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(io::ErrorKind::StorageFull.into()) });
        }
        self.inner.keep(kept)
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_used_and_is_stored_later() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(true));
    let inner = FileStore::new(dir.path());
    let store: Arc<dyn TokenStore> = Arc::new(Full { inner, full: Arc::clone(&full) });
    let server = Strict::new("first");
    let system = system(&server).await;
    let rig = Rig::new(AUTH, &gives(&system, &store, &["first"]));
    for _ in 0..3 {
        assert_eq!(waits(&rig.send().await), ("SNK-0053", None));
    }
    assert_eq!(
        system.seen("POST /docs").len(),
        0,
        "nothing was sent with a token whose successor could be lost"
    );
    assert_eq!(system.seen("POST /token").len(), 1, "and no further one was asked for");
    full.store(false, Ordering::SeqCst);
    rig.applied().await;
    assert!(!server.lock().unwrap().revoked);
}
