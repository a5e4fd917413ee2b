use std::collections::BTreeMap;
use std::time::Duration;

use hydra_types::{Generation, UserId};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Message, UserTag};

fn full() -> Request {
    let mut request = Request::new(vec![Message::system("s"), Message::user("ü"), Message::assistant("")]);
    request.n = 8;
    request.temperature = Some(0.7);
    request.top_p = Some(0.5);
    request.stop = vec!["\n".into(), "##".into()];
    request.max_tokens = Some(64);
    request.seed = Some(u64::MAX);
    request.logprobs = Some(0);
    request.response_format = ResponseFormat::JsonSchema {
        name: "tag".into(),
        schema: json!({"b": [1, 2.5, null], "a": {"ü": "\"", "z": true}}),
    };
    request.draw = 3;
    request.user =
        Some(UserTag { user: UserId::new(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10), generation: Generation::new(5) });
    request
}

/// Digests of the documented form, computed by a few lines of Python (`struct`, `json.dumps(sort_keys=True,
/// ensure_ascii=False, separators=(",", ":"))`, `hashlib`) that share nothing with this crate.
#[test]
fn keys_are_what_an_independent_program_makes_of_the_documented_form() {
    let plain = Request::new(vec![Message::user("hi")]);
    let mut json_object = plain.clone();
    json_object.response_format = ResponseFormat::JsonObject;
    for (request, scope, expected) in [
        (&plain, KeyScope::User, "d6eab373f1e41aa2ffa1bcbcfb3bd2234ea7362387f209199be09d19754e961c"),
        (&json_object, KeyScope::User, "d1d31a6f4722097f4a2c5fcd6ecdcf7529760e5defe0bea3159717d46e448507"),
        (&full(), KeyScope::User, "25497148833c05e5682d7f6dda68eaad0b324ebc4b439609366ed906f7d17363"),
        (&full(), KeyScope::Shared, "9507d828fe6cfb586a04a14464c456cf2c96c60d97e2becbe1fa8b4100f1be40"),
    ] {
        assert_eq!(RequestKey::of("m", request, scope).to_string(), expected);
    }
}

#[test]
fn whatever_can_change_the_answer_changes_the_key_and_nothing_else_does() {
    type Change = fn(&mut Request);
    let changes: [(&str, Change); 16] = [
        ("nothing", |_| {}),
        ("role", |r| r.messages[0].role = Role::User),
        ("text", |r| r.messages[1].text.push(' ')),
        ("border of messages", |r| {
            let moved = r.messages[0].text.pop().unwrap();
            r.messages[1].text.insert(0, moved);
        }),
        ("order", |r| r.messages.swap(0, 1)),
        ("n", |r| r.n = 9),
        ("temperature", |r| r.temperature = None),
        ("top-p", |r| r.top_p = Some(0.7)),
        ("stop", |r| r.stop = vec!["\n##".into()]),
        ("max tokens", |r| r.max_tokens = None),
        ("seed", |r| r.seed = Some(64)),
        ("logprobs", |r| r.logprobs = None),
        ("format", |r| r.response_format = ResponseFormat::JsonObject),
        ("draw", |r| r.draw = 4),
        ("user", |r| r.user = None),
        ("generation", |r| r.user.as_mut().unwrap().generation = Generation::new(6)),
    ];
    let mut seen = BTreeMap::new();
    for (name, change) in changes {
        let mut request = full();
        change(&mut request);
        let before = seen.insert(RequestKey::of("m", &request, KeyScope::User), name);
        assert_eq!(before, None, "{name}");
    }
    assert!(!seen.contains_key(&RequestKey::of("n", &full(), KeyScope::User)));

    let mut later = full();
    later.deadline = Some(Duration::from_secs(1));
    assert!(seen.contains_key(&RequestKey::of("m", &later, KeyScope::User)));
}

#[test]
fn only_the_shared_scope_forgets_who_asks() {
    let (a, mut b) = (full(), full());
    b.user.as_mut().unwrap().user = UserId::new(1);
    let key = |request, scope| RequestKey::of("m", request, scope);
    assert_ne!(key(&a, KeyScope::User), key(&b, KeyScope::User));
    assert_eq!(key(&a, KeyScope::Shared), key(&b, KeyScope::Shared));
}

#[test]
fn zero_has_one_sign() {
    let (mut plus, mut minus) = (full(), full());
    plus.temperature = Some(0.0);
    minus.temperature = Some(-0.0);
    assert_eq!(RequestKey::of("m", &plus, KeyScope::User), RequestKey::of("m", &minus, KeyScope::User));
}

proptest! {
    #[test]
    fn texts_cut_at_other_places_are_other_requests(text in "[a-c]{2,12}", cut in 0usize..12, other in 0usize..12) {
        let at = |cut: usize| {
            let (a, b) = text.split_at(cut.min(text.len()));
            RequestKey::of("m", &Request::new(vec![Message::user(a), Message::user(b)]), KeyScope::User)
        };
        prop_assert_eq!(cut.min(text.len()) == other.min(text.len()), at(cut) == at(other));
    }
}
