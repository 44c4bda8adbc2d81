//! A call is canceled, and a session is ended.

use wamp_client::{CallError, Closed, Invocation};

use crate::http::{get_with, post};
use crate::service::{Service, TOKEN, open_realm, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_with_the_token_cancels_a_call_and_ends_a_session() {
    let service = Service::start("acts", &open_realm(&format!("token = \"{TOKEN}\"")));
    let (callee, caller) = (service.join().await, service.join().await);
    let endless = async |invocation: Invocation| {
        invocation.canceled().await;
        Ok(())
    };
    callee.register("com.a.endless", endless).await.unwrap();
    let call = tokio::spawn(caller.call("com.a.endless").into_future());
    let table = |name: &str| get_with(&service.admin, &format!("/api/v1/{name}"), TOKEN);
    let calls = until(|| table("calls"), |answer| answer.json()["total"] == 1).json();
    let id = calls["rows"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(calls["rows"][0]["callee"]["session"], callee.id().get());

    let body = format!("{{\"realm\":\"realm1\",\"id\":\"{id}\"}}");
    assert_eq!(post(&service.admin, "/api/v1/calls/cancel", "wrong", &body).status, 401);
    assert_eq!(table("calls").json()["total"], 1);
    let answer = post(&service.admin, "/api/v1/calls/cancel", TOKEN, &body);
    assert_eq!((answer.status, &answer.json()["done"]), (200, &true.into()));
    let Err(CallError::Canceled { uri, payload }) = call.await.unwrap() else { panic!("not canceled") };
    assert_eq!(uri.as_str(), "wamp.error.canceled");
    assert_eq!(payload.decode::<(String,)>().unwrap().0, "the call was canceled by an administrator");
    assert_eq!(post(&service.admin, "/api/v1/calls/cancel", TOKEN, &body).status, 404);

    let body = format!("{{\"realm\":\"realm1\",\"id\":\"{}\"}}", callee.id());
    assert_eq!(post(&service.admin, "/api/v1/sessions/end", TOKEN, &body).status, 200);
    let Closed::ByRouter { reason, message, .. } = callee.closed().await else { panic!("not by the router") };
    assert_eq!(reason.as_str(), "wamp.close.killed");
    assert_eq!(message.as_deref(), Some("ended by an administrator"));
    until(|| table("sessions"), |answer| answer.json()["total"] == 1);
}
