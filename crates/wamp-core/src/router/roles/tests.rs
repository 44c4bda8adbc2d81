//! Tests of roles: the rule that decides, and patterns that contain others.

use proptest::prelude::*;

use super::*;

/// A text of up to four components, some of them empty.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["", "a", "b", "ab"]), 0..4)
        .prop_map(|list| list.join("."))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    (0..3, text()).prop_map(|(kind, text)| match kind {
        0 => Pattern::exact(text),
        1 => Pattern::prefix(text),
        _ => Pattern::wildcard(text),
    })
}

fn role() -> impl Strategy<Value = Role> {
    let rule = (pattern(), any::<bool>());
    prop::collection::vec(rule, 0..6).prop_map(|rules| {
        rules.into_iter().fold(Role::new("role"), |role, (pattern, allowed)| match allowed {
            true => role.allow(Actions::SUBSCRIBE, pattern),
            false => role.deny(pattern),
        })
    })
}

/// All URIs of one to four components.
fn uris() -> Vec<String> {
    let mut all: Vec<String> = vec![String::new()];
    let mut uris = Vec::new();
    for _ in 0..4 {
        let longer = |uri: &String| {
            ["a", "b", "ab"].map(|component| match uri.is_empty() {
                true => component.to_owned(),
                false => format!("{uri}.{component}"),
            })
        };
        all = all.iter().flat_map(longer).collect();
        uris.extend(all.iter().cloned());
    }
    uris
}

proptest! {
    // behaviour 261
    #[test]
    fn a_pattern_is_allowed_only_if_everything_that_it_matches_is(role in role(), pattern in pattern()) {
        if role.allows_pattern(Actions::SUBSCRIBE, &pattern) {
            for uri in uris().iter().filter(|uri| pattern.matches(uri)) {
                prop_assert!(role.allows(Actions::SUBSCRIBE, uri), "{role:?} {pattern:?} {uri}");
            }
        }
    }

    #[test]
    fn a_pattern_that_contains_another_matches_all_its_uris(one in pattern(), other in pattern()) {
        let (contains, meets) = (one.contains(&other), one.meets(&other));
        for uri in uris() {
            prop_assert!(!contains || !other.matches(&uri) || one.matches(&uri), "{one:?} {other:?} {uri}");
            prop_assert!(meets || !(one.matches(&uri) && other.matches(&uri)), "{one:?} {other:?} {uri}");
        }
    }
}

// behaviour 258
#[test]
fn the_most_specific_rule_decides_alone() {
    let call = Actions::CALL;
    let role = Role::new("user")
        .allow(Actions::ALL, Pattern::prefix(""))
        .deny(Pattern::prefix("com.shop."))
        .allow(call, Pattern::prefix("com.shop.order."))
        .allow(call, Pattern::wildcard("com.shop..list"))
        .deny(Pattern::exact("com.shop.secret.list"))
        .allow(Actions::PUBLISH, Pattern::wildcard("com..order.list"));
    let table = [
        ("org.other", true),
        ("com.shop", true),
        ("com.shop.buy", false),
        ("com.shop.order.buy", true),
        ("com.shop.item.list", true),
        ("com.shop.secret.list", false),
        // Two wildcards with three names each; one of them does not allow the action.
        ("com.shop.order.list", false),
    ];
    for (uri, expected) in table {
        assert_eq!(role.allows(call, uri), expected, "{uri}");
    }
    assert!(!role.allows(Actions::REGISTER, "com.shop.order.buy"), "it decides alone");
    assert!(!Role::new("nothing").allows(call, "com.shop"), "without a rule it is denied");
}

// behaviour 258
#[test]
fn of_two_prefixes_the_longer_decides_and_a_wildcard_before_a_prefix() {
    let role = Role::new("user")
        .allow(Actions::CALL, Pattern::prefix("com.s"))
        .deny(Pattern::prefix("com.sh"))
        .allow(Actions::CALL, Pattern::wildcard("com.shop."));
    assert!(role.allows(Actions::CALL, "com.sale") && !role.allows(Actions::CALL, "com.shoe"));
    assert!(role.allows(Actions::CALL, "com.shop.x"));
}

// behaviour 261
#[test]
fn patterns_that_a_role_may_use() {
    let role = Role::new("user")
        .allow(Actions::SUBSCRIBE, Pattern::prefix("com.shop."))
        .deny(Pattern::prefix("com.shop.admin."))
        .allow(Actions::SUBSCRIBE, Pattern::exact("org.exact"))
        .allow(Actions::SUBSCRIBE, Pattern::wildcard("net..price"));
    let table = [
        (Pattern::exact("com.shop.x"), true),
        (Pattern::prefix("com.shop.order"), true),
        (Pattern::prefix("com.shop."), false),
        (Pattern::prefix("com.shop.a"), false),
        (Pattern::prefix("com.shop.admin.x"), false),
        (Pattern::prefix("com."), false),
        (Pattern::prefix(""), false),
        (Pattern::wildcard("com.shop.order."), true),
        (Pattern::wildcard("com.shop..x"), false),
        (Pattern::wildcard("com..x"), false),
        (Pattern::prefix("org.exact"), false),
        (Pattern::wildcard("net..price"), true),
        (Pattern::wildcard("net.x.price"), true),
        (Pattern::wildcard("net.."), false),
        (Pattern::prefix("net.x.price"), false),
    ];
    for (pattern, expected) in table {
        assert_eq!(role.allows_pattern(Actions::SUBSCRIBE, &pattern), expected, "{pattern:?}");
    }
}

#[test]
fn actions_have_names() {
    assert_eq!(format!("{:?}", Actions::CALL | Actions::SUBSCRIBE), r#"{"call", "subscribe"}"#);
    assert_eq!(Actions::from_name("register"), Some(Actions::REGISTER));
    assert_eq!(Actions::from_name("yield"), None);
}
