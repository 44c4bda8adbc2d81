//! The rules of the link, one by one.

use std::time::Duration;

use wamp_core::reconnect::{Action, Ask, Config, Declaration, Event, Fault, Link, Over, Standing};
use wamp_core::session::Closed;
use wamp_core::{Failure, Misuse, Time};
use wamp_proto::message::{InvocationPolicy, MatchPolicy, RegisterOptions, SubscribeOptions};
use wamp_proto::{Uri, uri};

const SECOND: Duration = Duration::from_secs(1);

fn link(urls: usize) -> Link {
    Link::new(Config::new(urls), 1)
}

fn register(procedure: &'static str) -> Declaration {
    let options = RegisterOptions {
        policy: Some(MatchPolicy::Prefix),
        invoke: Some(InvocationPolicy::RoundRobin),
        forward_timeout: Some(true),
        ..RegisterOptions::default()
    };
    Declaration::Register { options, procedure: Uri::from_static(procedure) }
}

fn subscribe(topic: &'static str) -> Declaration {
    let options = SubscribeOptions { policy: Some(MatchPolicy::Wildcard), ..SubscribeOptions::default() };
    Declaration::Subscribe { options, topic: Uri::from_static(topic) }
}

fn actions(link: &mut Link) -> Vec<Action> {
    std::iter::from_fn(|| link.poll_action()).collect()
}

fn asks(link: &mut Link) -> Vec<Ask> {
    let ask = |action| match action {
        Action::Ask(ask) => ask,
        Action::Dial { .. } => panic!("nothing is to be dialed"),
    };
    actions(link).into_iter().map(ask).collect()
}

fn events(link: &mut Link) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

fn refused(uri: Uri) -> Result<(), Failure> {
    Err(Failure::new(uri))
}

fn aborted(reason: Uri) -> Closed {
    Closed::Aborted { reason, message: None }
}

/// A link whose first session is up.
fn up(now: Time, urls: usize) -> Link {
    let mut link = link(urls);
    assert_eq!(actions(&mut link), [Action::Dial { url: 0 }]);
    link.handle_joined(now);
    assert_eq!(events(&mut link), [Event::Up { gap: None }]);
    link
}

fn declare(link: &mut Link, now: Time, declaration: Declaration) -> Ask {
    let ask = link.declare(declaration).expect("the link is up");
    assert!(link.handle_answer(now, ask, Ok(())));
    ask
}

/// Loses the session and joins the next one.
fn lose_and_join(link: &mut Link, now: Time) -> Time {
    link.handle_closed(now, Closed::Lost);
    let now = link.poll_timeout().expect("another attempt follows");
    link.handle_timeout(now);
    assert!(matches!(actions(link).as_slice(), [Action::Dial { .. }]));
    link.handle_joined(now);
    now
}

#[test]
fn the_first_attempt_fails_at_once() {
    let mut link = link(1);
    assert_eq!(actions(&mut link), [Action::Dial { url: 0 }]);
    link.handle_failed(Time::ORIGIN, Fault::Passing);
    assert_eq!(events(&mut link), [Event::Over(Over::Failed)]);
    assert!(link.is_over());
    assert_eq!((actions(&mut link), link.poll_timeout()), (vec![], None));
}

#[test]
fn the_first_attempt_tries_every_url_once() {
    let mut link = link(3);
    for url in 0..3 {
        assert_eq!(actions(&mut link), [Action::Dial { url }]);
        assert_eq!(events(&mut link), []);
        link.handle_failed(Time::ORIGIN, Fault::Passing);
    }
    assert_eq!(events(&mut link), [Event::Over(Over::Failed)]);
}

#[test]
fn a_link_that_waits_for_its_first_session_goes_on() {
    let mut config = Config::new(1);
    config.waits_for_first = true;
    let mut link = Link::new(config, 1);
    let mut now = Time::ORIGIN;
    for attempt in 2..5 {
        assert_eq!(actions(&mut link), [Action::Dial { url: 0 }]);
        link.handle_failed(now, Fault::Passing);
        assert!(
            matches!(events(&mut link).as_slice(), [Event::Retrying { attempt: number, .. }] if *number == attempt)
        );
        now = link.poll_timeout().unwrap();
        link.handle_timeout(now);
    }
    assert_eq!(actions(&mut link), [Action::Dial { url: 0 }]);
    link.handle_joined(now);
    assert_eq!(events(&mut link), [Event::Up { gap: None }]);
}

#[test]
fn each_attempt_has_a_delay_and_the_next_url() {
    let mut link = up(Time::ORIGIN, 2);
    let mut now = Time::after(SECOND);
    link.handle_closed(now, Closed::Lost);
    let mut nominal = Duration::from_millis(250);
    for attempt in 2..10 {
        let url = usize::from(attempt % 2 == 0);
        let events = events(&mut link);
        let Some(&Event::Retrying { url: next, attempt: number, delay }) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!((next, number), (url, attempt));
        assert!((nominal..2 * nominal).contains(&delay), "{delay:?} for {nominal:?}");
        assert_eq!(link.poll_timeout(), Some(now + delay));
        assert_eq!(actions(&mut link), [], "not before its time");
        now = now + delay;
        link.handle_timeout(now);
        assert_eq!(actions(&mut link), [Action::Dial { url }]);
        link.handle_failed(now, Fault::Passing);
        nominal = (2 * nominal).min(15 * SECOND);
    }
}

#[test]
fn delays_go_on_growing_until_a_session_has_been_up_for_30_s() {
    let delay = |link: &mut Link| match events(link).last() {
        Some(Event::Retrying { delay, .. }) => *delay,
        other => panic!("{other:?}"),
    };
    let mut link = up(Time::ORIGIN, 1);
    let mut now = Time::ORIGIN;
    for _ in 0..4 {
        events(&mut link);
        now = lose_and_join(&mut link, now);
    }
    now = now + 29 * SECOND;
    link.handle_closed(now, Closed::Lost);
    assert!(delay(&mut link) >= 4 * SECOND);
    now = link.poll_timeout().unwrap();
    link.handle_timeout(now);
    actions(&mut link);
    link.handle_joined(now);
    link.handle_closed(now + 30 * SECOND, Closed::Lost);
    assert!(delay(&mut link) < SECOND);
}

#[test]
fn a_final_answer_ends_it_at_the_first_attempt_and_at_later_ones() {
    let closed = aborted(uri::NO_SUCH_REALM);
    let mut first = link(2);
    actions(&mut first);
    first.handle_failed(Time::ORIGIN, Fault::Closed(closed.clone()));
    assert_eq!(events(&mut first), [Event::Over(Over::Closed(closed.clone()))]);

    for (fault, over) in
        [(Fault::Closed(closed.clone()), Over::Closed(closed.clone())), (Fault::Final, Over::Failed)]
    {
        let mut later = up(Time::ORIGIN, 1);
        later.handle_closed(Time::ORIGIN, Closed::Lost);
        let now = later.poll_timeout().unwrap();
        later.handle_timeout(now);
        actions(&mut later);
        later.handle_failed(now, fault);
        assert_eq!(events(&mut later).last(), Some(&Event::Over(over)));
        assert!(later.is_over());
    }
}

#[test]
fn the_shutdown_of_the_router_is_no_end_and_an_administrator_is_one() {
    let by_router = |reason: Uri| Closed::ByRouter { reason, message: None };
    let mut shutdown = up(Time::ORIGIN, 1);
    shutdown.handle_closed(Time::ORIGIN, by_router(uri::SYSTEM_SHUTDOWN));
    assert!(!shutdown.is_over());

    let mut killed = up(Time::ORIGIN, 1);
    killed.handle_closed(Time::ORIGIN, by_router(uri::KILLED));
    assert_eq!(events(&mut killed), [Event::Over(Over::Closed(by_router(uri::KILLED)))]);

    let mut config = Config::new(1);
    config.returns_after_close = true;
    let mut asked = Link::new(config, 1);
    actions(&mut asked);
    asked.handle_joined(Time::ORIGIN);
    asked.handle_closed(Time::ORIGIN, by_router(uri::KILLED));
    assert!(!asked.is_over());
}

#[test]
fn credentials_that_were_refused_are_asked_for_once_more() {
    let closed = aborted(Uri::from_static("wamp.error.authentication_failed"));
    let mut link = up(Time::ORIGIN, 1);
    link.handle_closed(Time::ORIGIN, Closed::Lost);
    for is_over in [false, true] {
        let now = link.poll_timeout().unwrap();
        link.handle_timeout(now);
        assert_eq!(actions(&mut link), [Action::Dial { url: 0 }]);
        link.handle_failed(now, Fault::Closed(closed.clone()));
        assert_eq!(link.is_over(), is_over);
    }
}

#[test]
fn everything_is_declared_again_in_order_and_with_its_options_before_up() {
    let now = Time::ORIGIN;
    let mut link = up(now, 1);
    let declarations = [register("com.a"), subscribe("com.b"), register("com.c")];
    let first: Vec<Ask> = declarations.iter().map(|it| declare(&mut link, now, it.clone())).collect();
    let joined = lose_and_join(&mut link, now);

    let again = asks(&mut link);
    let ids = |asks: &[Ask]| asks.iter().map(|ask| ask.declaration).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&first));
    for (ask, declaration) in again.iter().zip(&declarations) {
        assert_eq!(link.declaration(ask.declaration), Some(declaration));
        assert!(!link.is_up());
        assert!(link.handle_answer(joined, *ask, Ok(())));
    }
    assert!(link.is_up());
    let gap = joined.since(now);
    assert_eq!(events(&mut link).last(), Some(&Event::Up { gap: Some(gap) }));
}

#[test]
fn the_gap_counts_from_the_first_of_several_losses() {
    let now = Time::after(SECOND);
    let mut link = up(now, 1);
    declare(&mut link, now, register("com.a"));
    let later = lose_and_join(&mut link, now);
    let later = lose_and_join(&mut link, later + SECOND);
    let ask = asks(&mut link)[0];
    link.handle_answer(later, ask, Ok(()));
    assert_eq!(events(&mut link).last(), Some(&Event::Up { gap: Some(later.since(now)) }));
}

#[test]
fn the_answer_of_an_earlier_session_changes_nothing() {
    let now = Time::ORIGIN;
    let mut link = up(now, 1);
    declare(&mut link, now, register("com.a"));
    let now = lose_and_join(&mut link, now);
    let stale = asks(&mut link)[0];
    let now = lose_and_join(&mut link, now);
    let fresh = asks(&mut link)[0];
    assert!(!link.handle_answer(now, stale, Ok(())));
    assert!(!link.is_up());
    assert!(link.handle_answer(now, fresh, Ok(())));
    assert!(link.is_up());
}

#[test]
fn the_shadow_of_an_earlier_session_is_waited_for_without_holding_up_the_rest() {
    let mut now = Time::ORIGIN;
    let mut link = up(now, 1);
    let id = declare(&mut link, now, register("com.a")).declaration;
    now = lose_and_join(&mut link, now);
    let ask = asks(&mut link)[0];
    link.handle_answer(now, ask, refused(uri::PROCEDURE_ALREADY_EXISTS));
    assert!(link.is_up(), "the rest of the program goes on");
    assert_eq!(link.standing(id), Some(Standing::Waiting));
    for _ in 0..3 {
        assert_eq!(link.poll_timeout(), Some(now + SECOND / 2));
        now = now + SECOND / 2;
        link.handle_timeout(now);
        let ask = asks(&mut link)[0];
        assert_eq!(link.standing(id), Some(Standing::Waiting));
        link.handle_answer(now, ask, refused(uri::PROCEDURE_ALREADY_EXISTS));
    }
    now = now + SECOND;
    link.handle_timeout(now);
    events(&mut link);
    let ask = asks(&mut link)[0];
    assert!(link.handle_answer(now, ask, Ok(())));
    assert_eq!(events(&mut link), [Event::Restored { declaration: id }]);
    assert_eq!((link.standing(id), link.poll_timeout()), (Some(Standing::Up), None));
}

#[test]
fn a_shadow_that_does_not_go_within_60_s_loses_the_declaration() {
    let mut now = Time::ORIGIN;
    let mut link = up(now, 1);
    let id = declare(&mut link, now, register("com.a")).declaration;
    now = lose_and_join(&mut link, now);
    let begin = now;
    let lost = loop {
        let ask = asks(&mut link)[0];
        link.handle_answer(now, ask, refused(uri::PROCEDURE_ALREADY_EXISTS));
        if let Some(Event::Lost { declaration, failure }) = events(&mut link).pop() {
            break (declaration, failure);
        }
        now = link.poll_timeout().expect("it is asked again");
        link.handle_timeout(now);
    };
    assert_eq!(lost, (id, Failure::new(uri::PROCEDURE_ALREADY_EXISTS)));
    assert_eq!(now, begin + 60 * SECOND);
    assert_eq!(link.standing(id), None);
}

#[test]
fn another_refusal_loses_the_declaration_and_nothing_else() {
    let mut now = Time::ORIGIN;
    let mut link = up(now, 1);
    let lost = declare(&mut link, now, register("com.a")).declaration;
    let kept = declare(&mut link, now, register("com.b")).declaration;
    now = lose_and_join(&mut link, now);
    events(&mut link);
    let [first, second] = asks(&mut link)[..] else { panic!("two declarations") };
    assert!(!link.handle_answer(now, first, refused(uri::NOT_AUTHORIZED)));
    assert!(link.handle_answer(now, second, Ok(())));
    let [Event::Lost { declaration, failure }, Event::Up { .. }] = &events(&mut link)[..] else {
        panic!("one is lost")
    };
    assert_eq!((*declaration, &failure.error), (lost, &uri::NOT_AUTHORIZED));
    assert_eq!(link.declarations().collect::<Vec<_>>(), [kept]);
}

#[test]
fn a_first_refusal_is_the_program_s_and_no_shadow() {
    let now = Time::ORIGIN;
    let mut link = up(now, 1);
    let ask = link.declare(register("com.a")).unwrap();
    assert!(!link.handle_answer(now, ask, refused(uri::PROCEDURE_ALREADY_EXISTS)));
    assert_eq!((events(&mut link), link.poll_timeout()), (vec![], None));
    assert_eq!(link.declarations().count(), 0);
}

#[test]
fn a_first_declaration_that_was_not_answered_is_not_repeated() {
    let now = Time::ORIGIN;
    let mut link = up(now, 1);
    let ask = link.declare(register("com.a")).unwrap();
    let now = lose_and_join(&mut link, now);
    assert_eq!(asks(&mut link), []);
    assert!(!link.handle_answer(now, ask, Ok(())));
}

#[test]
fn nothing_new_is_declared_while_the_link_is_not_up() {
    let mut link = up(Time::ORIGIN, 1);
    link.handle_closed(Time::ORIGIN, Closed::Lost);
    assert_eq!(link.declare(register("com.a")), Err(Misuse::NotOpen));
}

#[test]
fn a_withdrawn_declaration_is_not_made_again() {
    let now = Time::ORIGIN;
    let mut link = up(now, 1);
    let up = declare(&mut link, now, register("com.a")).declaration;
    let down = declare(&mut link, now, register("com.b")).declaration;
    let asked = declare(&mut link, now, register("com.c")).declaration;
    let answered = declare(&mut link, now, register("com.d")).declaration;
    assert!(link.withdraw(now, up), "the router is to be told");
    link.handle_closed(now, Closed::Lost);
    assert!(!link.withdraw(now, down), "the router need not be told");
    let now = link.poll_timeout().unwrap();
    link.handle_timeout(now);
    actions(&mut link);
    link.handle_joined(now);
    // Before it is sent, and after that.
    assert!(!link.withdraw(now, asked));
    let [ask] = asks(&mut link)[..] else { panic!("one is left") };
    assert_eq!(ask.declaration, answered);
    assert!(!link.withdraw(now, answered));
    assert!(link.is_up());
    assert!(!link.handle_answer(now, ask, Ok(())), "the router is to be told");
}

#[test]
fn leaving_ends_it_in_every_state() {
    let left = [Event::Over(Over::Closed(Closed::Left))];
    let mut dialing = link(1);
    actions(&mut dialing);
    dialing.leave();
    assert_eq!(events(&mut dialing), left);
    dialing.handle_joined(Time::ORIGIN);
    assert!(dialing.is_over());

    let mut waiting = up(Time::ORIGIN, 1);
    waiting.handle_closed(Time::ORIGIN, Closed::Lost);
    events(&mut waiting);
    waiting.leave();
    assert_eq!((events(&mut waiting), waiting.poll_timeout()), (left.to_vec(), None));

    let mut open = up(Time::ORIGIN, 1);
    open.leave();
    assert_eq!((events(&mut open), open.is_over()), (vec![], false));
    // Also if the connection is lost meanwhile.
    open.handle_closed(Time::ORIGIN, Closed::Lost);
    assert_eq!(events(&mut open), [Event::Over(Over::Closed(Closed::Lost))]);
    assert_eq!(actions(&mut open), []);
}

#[test]
fn a_router_that_does_not_answer_holds_up_the_link_for_10_s_and_is_heard_later() {
    let mut now = Time::ORIGIN;
    let mut link = up(now, 1);
    let (silent, answered) = (register("com.a"), register("com.b"));
    let ids = [silent, answered].map(|it| declare(&mut link, now, it).declaration);
    now = lose_and_join(&mut link, now);
    let first = asks(&mut link);
    assert!(link.handle_answer(now, first[1], Ok(())));
    assert_eq!((link.is_up(), link.poll_timeout()), (false, Some(now + 10 * SECOND)));
    events(&mut link);
    now = now + 10 * SECOND;
    link.handle_timeout(now);
    let [Event::Unanswered { declaration }, Event::Up { gap: Some(_) }] = events(&mut link)[..] else {
        panic!("it is told, and the rest goes on")
    };
    assert_eq!((declaration, link.standing(ids[0])), (ids[0], Some(Standing::Unanswered)));
    assert_eq!((link.standing(ids[1]), link.poll_timeout()), (Some(Standing::Up), None));

    // It is asked again in the next session, and the answer of this one is too late then.
    now = lose_and_join(&mut link, now);
    let second = asks(&mut link);
    events(&mut link);
    assert!(!link.handle_answer(now, first[0], Ok(())));
    assert!(link.handle_answer(now, second[1], Ok(())));
    now = now + 10 * SECOND;
    link.handle_timeout(now);
    events(&mut link);
    assert!(link.handle_answer(now, second[0], Ok(())));
    assert_eq!(events(&mut link), [Event::Restored { declaration: ids[0] }]);
    assert_eq!(link.standing(ids[0]), Some(Standing::Up));
}
