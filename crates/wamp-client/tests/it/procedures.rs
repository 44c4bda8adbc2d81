use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use wamp_client::{Failure, Invocation, Kwargs};

use crate::peer::joined;

// behaviour 16
#[tokio::test]
async fn progress_is_there_only_if_the_caller_asked() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("com.myapp.longop", |call: Invocation| async move {
        let (n,): (i64,) = call.args()?;
        if let Some(progress) = call.progress() {
            for i in 0..n {
                progress.send((i,)).await?;
            }
        }
        Ok((n,))
    }))
    .await;
    peer.send(json!([68, 1, 7, {}, [2]])).await;
    peer.expect(json!([70, 1, {}, [2]])).await;
    peer.send(json!([68, 2, 7, {"receive_progress": true}, [2]])).await;
    peer.expect(json!([70, 2, {"progress": true}, [0]])).await;
    peer.expect(json!([70, 2, {"progress": true}, [1]])).await;
    peer.expect(json!([70, 2, {}, [2]])).await;
}

// behaviour 22
#[tokio::test]
async fn a_procedure_may_be_called_in_the_same_read_as_its_registration() {
    let (session, mut peer) = joined().await;
    let registering = tokio::spawn(session.register("a", async |_| Ok("here")).into_future());
    peer.expect(json!([64, 1, {}, "a"])).await;
    peer.send_all(&[json!([65, 1, 7]), json!([68, 1, 7, {}])]).await;
    peer.expect(json!([70, 1, {}, ["here"]])).await;
    assert_eq!(registering.await.unwrap().unwrap().id().get(), 7);
}

#[tokio::test]
async fn a_refused_registration_says_why() {
    let (session, mut peer) = joined().await;
    let registering = tokio::spawn(session.register("a", async |_| Ok(())).into_future());
    peer.next().await;
    peer.send(json!([8, 64, 1, {}, "wamp.error.procedure_already_exists", ["taken"]])).await;
    let error = registering.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "wamp.error.procedure_already_exists: taken");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_an_error_that_names_them() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move {
        let (a, b): (u32, u32) = call.args()?;
        Ok(a + b)
    }))
    .await;
    peer.send(json!([68, 1, 7, {}, [1, "two"]])).await;
    let text = "argument 2: expected u32, found string";
    peer.expect(json!([8, 68, 1, {}, "wamp.error.invalid_argument", [text]])).await;
    peer.send(json!([68, 2, 7, {}, [1, 2]])).await;
    peer.expect(json!([70, 2, {}, [3]])).await;
}

#[tokio::test]
async fn failures_have_a_uri_and_arguments() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move {
        match call.decode::<u8>()? {
            1 => Err(Failure::new("com.example.no").arg("because").arg(1).kwarg("code", 7)),
            2 => Ok("x".parse::<u64>()?),
            3 => Err(Failure::new("com.example.no").arg(f64::NAN)),
            _ => Err(Failure::new("\0")),
        }
    }))
    .await;
    for kind in 1..=4 {
        peer.send(json!([68, kind, 7, {}, [kind]])).await;
    }
    let mut errors: Vec<Value> = Vec::new();
    for _ in 1..=4 {
        errors.push(peer.next().await);
    }
    errors.sort_by_key(|error| error[2].as_u64());
    assert_eq!(errors[0], json!([8, 68, 1, {}, "com.example.no", ["because", 1], {"code": 7}]));
    assert_eq!(
        errors[1],
        json!([8, 68, 2, {}, "wamp.error.runtime_error", ["invalid digit found in string"]])
    );
    assert_eq!(errors[2][4], "com.example.no");
    assert!(errors[2][5][0].as_str().unwrap().contains("NaN"), "{}", errors[2]);
    assert_eq!(errors[3][4], "wamp.error.runtime_error", "{}", errors[3]);
}

// behaviour 57
#[tokio::test]
async fn a_result_that_cannot_be_written_is_an_error_and_not_silence() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move {
        if let Some(progress) = call.progress() {
            progress.send(f64::INFINITY).await?;
        }
        Ok(f64::NAN)
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    let error = peer.next().await;
    assert_eq!(error[4], "wamp.error.invalid_argument", "{error}");
    assert!(error[5][0].as_str().unwrap().contains("NaN cannot be written in JSON"), "{error}");
    peer.send(json!([68, 2, 7, {"receive_progress": true}])).await;
    let error = peer.next().await;
    assert_eq!(error[4], "wamp.error.invalid_argument", "{error}");
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_call_and_of_nothing_else() {
    let (session, mut peer) = joined().await;
    let may = Arc::new(Notify::new());
    let go = may.clone();
    peer.register(
        session
            .register("a", move |call: Invocation| {
                let go = go.clone();
                let panics: bool = call.decode().unwrap();
                assert!(!panics, "a secret");
                async move {
                    go.notified().await;
                    if call.progress().is_some() {
                        panic!("another secret");
                    }
                    Ok("fine")
                }
            })
            .concurrency(2),
    )
    .await;
    let progress = json!({"receive_progress": true});
    peer.send_all(&[
        json!([68, 1, 7, {}, [false]]),
        json!([68, 2, 7, {}, [true]]),
        json!([68, 3, 7, progress, [false]]),
        json!([68, 4, 7, {}, [false]]),
    ])
    .await;
    let panicked = |id| json!([8, 68, id, {}, "wamp.error.runtime_error", ["the procedure panicked"]]);
    peer.expect(panicked(2)).await;
    may.notify_one();
    peer.expect(json!([70, 1, {}, ["fine"]])).await;
    may.notify_one();
    peer.expect(panicked(3)).await;
    may.notify_one();
    peer.expect(json!([70, 4, {}, ["fine"]])).await;
}

#[tokio::test]
async fn a_handler_that_waits_delays_no_other_call() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move {
        if call.decode::<bool>()? {
            std::future::pending::<()>().await;
        }
        Ok(())
    }))
    .await;
    peer.send_all(&[json!([68, 1, 7, {}, [true]]), json!([68, 2, 7, {}, [false]])]).await;
    peer.expect(json!([70, 2, {}])).await;
    let call = tokio::spawn(session.call("b").into_future());
    peer.next().await;
    peer.send(json!([50, 2, {}])).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn concurrency_bounds_how_many_run_and_the_others_follow_in_order() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    let may = Arc::new(Notify::new());
    let go = may.clone();
    peer.register(
        session
            .register("a", move |call: Invocation| {
                let (told, go) = (told.clone(), go.clone());
                async move {
                    told.send(call.decode::<u64>()?).unwrap();
                    go.notified().await;
                    Ok(())
                }
            })
            .concurrency(2),
    )
    .await;
    let invocations: Vec<Value> = (1..=5).map(|id| json!([68, id, 7, {}, [id]])).collect();
    peer.send_all(&invocations).await;
    let mut begun = vec![hear.recv().await.unwrap(), hear.recv().await.unwrap()];
    begun.sort_unstable();
    assert_eq!(begun, [1, 2]);
    for next in 3..=5 {
        peer.ping(b"x").await;
        peer.expect(json!("PONG x")).await;
        assert!(hear.try_recv().is_err(), "only two at a time");
        may.notify_one();
        assert_eq!(hear.recv().await.unwrap(), next);
        assert_eq!(peer.next().await[0], 70);
    }
}

#[tokio::test]
async fn a_handler_calls_through_its_own_session() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move {
        let inner: i64 = call.session().call("b").args((1,)).await?.decode()?;
        Ok(Kwargs(json!({"inner": inner, "procedure": call.procedure().to_string()})))
    }))
    .await;
    peer.send(json!([68, 1, 7, {"procedure": "com.pattern.match"}])).await;
    peer.expect(json!([48, 2, {}, "b", [1]])).await;
    peer.send(json!([50, 2, {}, [42]])).await;
    peer.expect(json!([70, 1, {}, [], {"inner": 42, "procedure": "com.pattern.match"}])).await;
    // An error of the inner call is not one of the arguments.
    peer.send(json!([68, 2, 7, {}])).await;
    peer.next().await;
    peer.send(json!([50, 3, {}, ["x"]])).await;
    assert_eq!(peer.next().await[4], "wamp.error.runtime_error");
}

// behaviour 43
#[tokio::test]
async fn a_procedure_is_taken_back_and_its_invocations_go_on() {
    let (session, mut peer) = joined().await;
    let may = Arc::new(Notify::new());
    let go = may.clone();
    let registration = peer
        .register(session.register("a", move |_| {
            let go = go.clone();
            async move {
                go.notified().await;
                Ok(())
            }
        }))
        .await;
    peer.send(json!([68, 1, 7, {}])).await;
    let again = registration.clone();
    let unregistering = tokio::spawn(async move { registration.unregister().await });
    peer.expect(json!([66, 2, 7])).await;
    peer.send(json!([67, 2])).await;
    unregistering.await.unwrap().unwrap();
    may.notify_one();
    peer.expect(json!([70, 1, {}])).await;
    assert!(matches!(again.unregister().await, Err(wamp_client::RequestError::Gone)));
    peer.send(json!([68, 2, 7, {}])).await;
    assert_eq!(peer.next().await[4], "wamp.error.no_such_registration");
}

#[tokio::test]
async fn dropping_a_registration_changes_nothing_and_a_guard_takes_it_back() {
    let (session, mut peer) = joined().await;
    let registration = peer.register(session.register("a", async |_| Ok(1))).await;
    drop(registration.clone());
    peer.send(json!([68, 1, 7, {}])).await;
    peer.expect(json!([70, 1, {}, [1]])).await;
    drop(registration.into_guard());
    peer.expect(json!([66, 2, 7])).await;
}

#[tokio::test]
async fn a_registration_that_is_no_longer_awaited_is_unregistered() {
    let (session, mut peer) = joined().await;
    let registering = tokio::spawn(session.register("a", async |_| Ok(1)).into_future());
    peer.expect(json!([64, 1, {}, "a"])).await;
    registering.abort();
    assert!(registering.await.is_err());
    peer.send(json!([65, 1, 7])).await;
    peer.expect(json!([66, 2, 7])).await;
}

#[tokio::test]
async fn a_surplus_of_invocations_is_refused() {
    const MAX: u64 = 65_536;
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", async |_| std::future::pending::<Result<(), Failure>>().await)).await;
    let invocations: Vec<Value> = (1..=MAX + 1).map(|id| json!([68, id, 7, {}])).collect();
    for some in invocations.chunks(1024) {
        peer.send_all(some).await;
    }
    let error = peer.next().await;
    assert_eq!((&error[2], &error[4]), (&json!(MAX + 1), &json!("wamp.error.unavailable")));
    assert!(session.is_open());
}
