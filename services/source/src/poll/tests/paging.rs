//! Each way of going from page to page: everything is told, whatever becomes of the list, the gateway or the process meanwhile.

use system::{Endless, Event, KINDS, Scene, set};

use super::*;

mod system;

#[tokio::test]
async fn every_kind_tells_each_record_once_and_then_only_what_changes() {
    for (kind, _) in KINDS {
        let scene = Scene::start(kind).await;
        let mut poll = scene.poll();
        poll.round().await.unwrap();
        let told = scene.told();
        assert_eq!((told.len(), set(&told)), (10, scene.all()), "{kind}: {told:?}");
        assert!(scene.world.lock().unwrap().asked >= 4, "{kind}: several pages");
        assert_eq!(poll.cursor.place().unwrap().modified_us, 600_000_000, "{kind}");
        poll.round().await.unwrap();
        assert_eq!(scene.told(), [""; 0], "{kind}: nothing has changed");
        scene.touch("j-1", 660_000);
        poll.round().await.unwrap();
        assert_eq!(scene.told(), ["j-1@660000"], "{kind}");
    }
}

/// The gateway, or the system, is gone after the second page, and so is the process.
#[tokio::test]
async fn a_crash_between_pages_loses_nothing() {
    for (kind, _) in KINDS {
        for by_gateway in [true, false] {
            let scene = Scene::start(kind).await;
            match by_gateway {
                true => scene.change(|world| world.takes = Some(2)),
                false => scene.before(2, Event::Fail),
            }
            let error = scene.poll().round().await.unwrap_err();
            assert_eq!(error.code(), if by_gateway { "SRC-0006" } else { "SRC-0002" }, "{kind}: {error:?}");
            let before = scene.told();
            assert!((1..10).contains(&before.len()), "{kind}: {before:?}");
            scene.change(|world| world.takes = None);
            let mut poll = scene.poll();
            let resumed = poll.cursor.place().is_some();
            assert_eq!(resumed, scene.in_order(), "{kind}: whether it can go on in the middle");
            poll.round().await.unwrap();
            let after = scene.told();
            assert_eq!(&set(&before) | &set(&after), scene.all(), "{kind}: {before:?} {after:?}");
            let again = set(&before).intersection(&set(&after)).count();
            assert_eq!(
                again,
                if resumed { 1 } else { before.len() },
                "{kind}: the last one lies within the overlap"
            );
        }
    }
}

/// A record that was told changes, or goes, while the pages behind it are asked for: those behind it move up.
#[tokio::test]
async fn a_list_that_moves_while_it_is_walked_loses_nothing() {
    for (kind, _) in KINDS {
        for at in 1..5 {
            for gone in [false, true] {
                // Links and tokens are the system's promise; here they are offsets, which nobody can promise for.
                if matches!(kind, "body_link" | "relative_link" | "link_header" | "cursor" | "graphql") {
                    continue;
                }
                let scene = Scene::start(kind).await;
                let event = if gone { Event::Remove("j-1") } else { Event::Touch("j-1", 700_000) };
                scene.before(at, event);
                let mut poll = scene.poll();
                poll.round().await.unwrap();
                poll.round().await.unwrap(); // what changed behind the reader's back
                let told = scene.told();
                let missing: Vec<_> = scene.all().difference(&set(&told)).cloned().collect();
                assert!(missing.is_empty(), "{kind}, before request {at}: {missing:?} of {told:?}");
                let doubles = told.len() - set(&told).len();
                assert_eq!(doubles, 0, "{kind}: {told:?}");
            }
        }
    }
}

/// Records in any order: the place does not pass over what changed while they were walked, however late the last page is.
#[tokio::test]
async fn in_any_order_the_place_moves_at_the_end_and_never_beyond_the_beginning() {
    let scene = Scene::start("cursor").await;
    let mut poll = scene.poll();
    // One bears a moment of the future.
    let before = now_ms();
    scene.touch("a-10", before + 3_600_000);
    poll.round().await.unwrap();
    assert_eq!(scene.told().len(), 10);
    let place = poll.cursor.place().unwrap().modified_us / 1_000;
    assert!(
        (before - 2_000..=now_ms()).contains(&place),
        "{place} is beyond the walk's beginning at {before}"
    );
    // So what is changed next is told, though it bears an earlier moment than that one.
    scene.touch("b-9", now_ms());
    poll.round().await.unwrap();
    assert_eq!(scene.told().len(), 1);
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

#[tokio::test]
async fn a_list_that_never_stands_still_is_told_of() {
    let scene = Scene::start("number").await;
    // Before the second page of each walk a record of its first one goes.
    let gone = ["j-1", "h-3", "f-5", "d-7"];
    scene.change(|world| {
        world.then = gone.into_iter().enumerate().map(|(n, id)| (n * 3 + 1, Event::Remove(id))).collect()
    });
    let mut poll = scene.poll();
    let error = poll.round().await.unwrap_err();
    assert_eq!(error.code(), "SRC-0010", "{error:?}");
    poll.round().await.unwrap();
    let told = set(&scene.told());
    assert!(scene.all().is_subset(&told), "{told:?}");
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let foreign = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = foreign.local_addr().unwrap().port();
    for kind in ["body_link", "link_header"] {
        for to in [
            format!("http://127.0.0.1:{port}/list?token=secret"),
            format!("//127.0.0.1:{port}/list"),
            format!("http://localhost:{port}/list"),
            "https://erp.example/list".to_owned(),
        ] {
            let scene = Scene::start(kind).await;
            scene.change(|world| world.leads = Some(to.clone()));
            let mut poll = scene.poll();
            let error = poll.round().await.unwrap_err();
            assert_eq!(error.code(), "SRC-0008", "{kind} {to}");
            let error = format!("{:#}", anyhow::Error::new(error));
            assert!(error.contains("leads to http") && !error.contains("secret"), "{error}");
            assert_eq!((scene.told().len(), poll.cursor.place()), (0, None));
        }
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), foreign.accept()).await;
    assert!(accepted.is_err(), "somebody connected: {accepted:?}");
}

#[tokio::test]
async fn pages_without_end_are_given_up() {
    for kind in ["body_link", "relative_link", "link_header", "cursor", "graphql", "last"] {
        for (endless, what, most) in
            [(Endless::Same, "already", 6), (Endless::New, "there were 40 already", 41)]
        {
            if kind == "last" && endless == Endless::New {
                continue; // its token is of a record
            }
            let scene = Scene::start(kind).await;
            scene.change(|world| world.endless = Some(endless));
            let error = scene.poll().round().await.unwrap_err();
            let code = error.code();
            let error = format!("{:#}", anyhow::Error::new(error));
            if kind == "last" {
                assert_eq!(code, "SRC-0002", "{error}"); // the end has no record, and says that there are more
                continue;
            }
            assert_eq!(code, "SRC-0009", "{kind}: {error}");
            assert!(error.contains(what), "{kind}: {error}");
            assert!(scene.world.lock().unwrap().asked <= most, "{kind}");
        }
    }
}

/// More records than the system lists bear one moment: there is no way behind them, and that is said.
#[tokio::test]
async fn more_of_one_moment_than_the_system_lists_is_told_of() {
    let scene = Scene::start("window").await;
    scene.change(|world| world.docs.values_mut().for_each(|at| *at = 600_000));
    let error = scene.poll().round().await.unwrap_err();
    assert_eq!(error.code(), "SRC-0009", "{error:?}");
    assert!(format!("{:#}", anyhow::Error::new(error)).contains("bear one moment"));
    assert!(scene.world.lock().unwrap().asked < 10);
}

/// A system that does not hear what is behind the first page gives it for ever.
#[tokio::test]
async fn a_page_that_comes_again_is_no_next_one() {
    for kind in ["offset", "number", "keyset", "cursor"] {
        let scene = Scene::start(kind).await;
        let deaf = scene
            .connector
            .replace("offset: \"{{payload.offset}}\"", "x: \"{{payload.offset}}\"")
            .replace("number: \"{{payload.number}}\"", "x: \"{{payload.number}}\"")
            .replace("after: \"{{payload.after}}\"", "x: \"{{payload.after}}\", after: \"\"")
            .replace("query: after", "query: x");
        let scene = Scene { connector: deaf, ..scene };
        if kind == "keyset" {
            // Where moments differ, the order shows it.
            scene.change(|world| world.docs.values_mut().for_each(|at| *at = 60_000));
        }
        let error = scene.poll().round().await.unwrap_err();
        let expected = if kind == "offset" { "SRC-0010" } else { "SRC-0009" };
        assert_eq!(error.code(), expected, "{kind}: {error:?}");
        assert!(scene.world.lock().unwrap().asked < 20, "{kind}");
    }
}

#[tokio::test]
async fn an_answer_in_another_order_than_promised_is_none() {
    let mut scene = Scene::start("cursor").await;
    scene.connector = scene.connector.replace("items: $.items", "items: $.items\n      order: modified");
    let mut poll = scene.poll();
    let error = poll.round().await.unwrap_err();
    assert_eq!(error.code(), "SRC-0002");
    let error = format!("{:#}", anyhow::Error::new(error));
    assert!(error.contains("stands before"), "{error}");
    assert_eq!((scene.told().len(), poll.cursor.place()), (0, None));
}
