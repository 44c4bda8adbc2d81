//! The registration that a call goes to, compared with a matcher that looks at all of them one by one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use wamp_core::router::Config;
use wamp_proto::Serializer;

use crate::net::{Net, all_roles};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Policy {
    Exact,
    Prefix,
    Wildcard,
}

#[derive(Clone, Debug)]
enum Step {
    Register(Policy, String),
    Unregister(Index),
    Call(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Registered {
    id: u64,
    policy: Policy,
    pattern: String,
}

impl Registered {
    fn matches(&self, uri: &str) -> bool {
        let components = || self.pattern.split('.').zip(uri.split('.'));
        match self.policy {
            Policy::Exact => self.pattern == uri,
            Policy::Prefix => uri.starts_with(&self.pattern),
            Policy::Wildcard => {
                self.pattern.split('.').count() == uri.split('.').count()
                    && components().all(|(pattern, component)| pattern.is_empty() || pattern == component)
            }
        }
    }

    /// Of all matching registrations, the one with the least key gets the call.
    fn rank(&self) -> (Policy, usize, Vec<bool>) {
        let longest = if self.policy == Policy::Prefix { usize::MAX - self.pattern.len() } else { 0 };
        (self.policy, longest, self.pattern.split('.').map(str::is_empty).collect())
    }
}

/// Few and similar URIs, so that they collide; some as long as a step of a hash, some longer than usual.
fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["a", "b", "ab", "abcdefg", "abcdefgh", "é", "è"]).prop_map(str::to_owned),
        1 => (1..400_usize).prop_map(|length| "a".repeat(length)),
    ]
}

fn uri() -> impl Strategy<Value = String> {
    vec(component(), 1..6).prop_map(|components| components.join("."))
}

fn prefix() -> impl Strategy<Value = String> {
    (uri(), any::<Index>()).prop_map(|(uri, end)| {
        let end = end.index(uri.len() + 1);
        let end = (0..=end).rev().find(|end| uri.is_char_boundary(*end));
        uri[..end.unwrap_or(0)].to_owned()
    })
}

fn wildcard() -> impl Strategy<Value = String> {
    let gap = prop::bool::weighted(0.4);
    vec((component(), gap), 1..6).prop_map(|components| {
        let components = components.into_iter().map(|(name, gap)| if gap { String::new() } else { name });
        components.collect::<Vec<_>>().join(".")
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => uri().prop_map(|uri| Step::Register(Policy::Exact, uri)),
        2 => prefix().prop_map(|prefix| Step::Register(Policy::Prefix, prefix)),
        3 => wildcard().prop_map(|pattern| Step::Register(Policy::Wildcard, pattern)),
        2 => any::<Index>().prop_map(Step::Unregister),
        6 => uri().prop_map(Step::Call),
    ]
}

proptest! {
    #[test]
    fn a_call_goes_where_a_look_at_all_registrations_says(steps in vec(step(), 1..120)) {
        let mut config = Config::new("realm1");
        config.limits.uri.bytes = 4096;
        let mut net = Net::with(config);
        let callee = net.raw(Serializer::Json, all_roles());
        let caller = net.raw(Serializer::Json, all_roles());
        let (mut registered, mut ids) = (Vec::<Registered>::new(), 0);
        let (mut requests, mut calls) = (0, 0);
        for step in steps {
            match step {
                Step::Register(policy, pattern) => {
                    requests += 1;
                    let name = format!("{policy:?}").to_lowercase();
                    net.say(callee, &format!(r#"[64,{requests},{{"match":"{name}"}},"{pattern}"]"#));
                    let heard = net.heard(callee);
                    if registered.iter().any(|one| one.policy == policy && one.pattern == pattern) {
                        prop_assert!(heard[0].contains("procedure_already_exists"), "{:?}", heard);
                    } else {
                        ids += 1;
                        prop_assert_eq!(heard, [format!("[65,{requests},{ids}]")]);
                        registered.push(Registered { id: ids, policy, pattern });
                    }
                }
                Step::Unregister(which) if !registered.is_empty() => {
                    requests += 1;
                    let gone = registered.swap_remove(which.index(registered.len()));
                    net.say(callee, &format!("[66,{requests},{}]", gone.id));
                    prop_assert_eq!(net.heard(callee), [format!("[67,{requests}]")]);
                }
                Step::Unregister(_) => {}
                Step::Call(uri) => {
                    calls += 1;
                    net.say(caller, &format!(r#"[48,{calls},{{}},"{uri}"]"#));
                    let all = registered.iter().filter(|one| one.matches(&uri));
                    match all.min_by_key(|one| one.rank()) {
                        Some(one) => {
                            let heard = net.heard(callee);
                            let part = format!(",{},{{", one.id);
                            prop_assert!(heard.len() == 1 && heard[0].contains(&part), "{:?} {:?}", one, heard);
                        }
                        None => {
                            let heard = net.heard(caller);
                            prop_assert!(heard[0].contains("no_such_procedure"), "{:?}", heard);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(net.realm.sizes().registrations, registered.len());
        net.cut(callee);
        prop_assert_eq!(net.realm.sizes().registrations, 0);
    }
}
