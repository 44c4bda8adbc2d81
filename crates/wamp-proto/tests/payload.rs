//! The conversion of values to arguments and back, one test for each row of the table at `Payload`.

#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

mod tree;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tree::received;
use wamp_proto::{Args, ArgsKwargs, Arguments, EncodeError, Kwargs, Payload, Serializer, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Range {
    from: u32,
    to: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NewtypeOfTuple((u32, u32));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    tuple: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TupleStruct(u32, u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct UnitStruct;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u32),
    Tuple(u32, u32),
    Struct { a: u32 },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Optional {
    limit: Option<u32>,
}

const RANGE: Range = Range { from: 1, to: None };

/// Returns the arguments and keywords of `value` in JSON, and checks that all formats agree.
fn sent<T: Serialize + ?Sized>(value: &T) -> (String, String) {
    let json = Payload::new(Serializer::Json, value).unwrap();
    for &serializer in Serializer::ALL {
        assert_eq!(Payload::new(serializer, value).unwrap().transcode(Serializer::Json).unwrap(), json);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(json.args_bytes()), text(json.kwargs_bytes()))
}

fn is_sent<T: Serialize + ?Sized>(value: &T, args: &str, kwargs: &str) {
    assert_eq!(sent(value), (args.to_owned(), kwargs.to_owned()));
}

/// Checks that `value` is sent as `args` and `kwargs`, and read back.
fn is_sent_and_read<T>(value: T, args: &str, kwargs: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    is_sent(&value, args, kwargs);
    for &serializer in Serializer::ALL {
        assert_eq!(Payload::new(serializer, &value).unwrap().decode::<T>().unwrap(), value);
    }
}

/// The payload `args` and `kwargs` in each format; "" for none.
fn payloads(args: &str, kwargs: &str) -> impl Iterator<Item = Payload> {
    let json = if args.is_empty() {
        Payload::empty()
    } else {
        let kwargs = (!kwargs.is_empty()).then_some(kwargs.as_bytes());
        received(Serializer::Json, args.as_bytes(), kwargs).unwrap()
    };
    Serializer::ALL.iter().map(move |&serializer| json.transcode(serializer).unwrap())
}

fn read<T: DeserializeOwned + PartialEq + std::fmt::Debug>(args: &str, kwargs: &str) -> Result<T, String> {
    let mut all = payloads(args, kwargs).map(|payload| payload.decode().map_err(|error| error.to_string()));
    let first = all.next().unwrap();
    all.for_each(|other| assert_eq!(other, first));
    first
}

fn refused<T: DeserializeOwned + PartialEq + std::fmt::Debug>(args: &str, kwargs: &str) -> String {
    read::<T>(args, kwargs).unwrap_err()
}

#[test]
fn behaviour_20_unit_is_no_arguments() {
    is_sent_and_read((), "", "");
    assert!(Payload::new(Serializer::Json, &()).unwrap().is_empty());
}

#[test]
fn a_tuple_is_the_positional_list() {
    is_sent_and_read((1,), "[1]", "");
    is_sent_and_read((1, "a".to_owned(), true), r#"[1,"a",true]"#, "");
    is_sent_and_read(([1, 2], (3, 4)), "[[1,2],[3,4]]", "");
    is_sent(&&(1, 2), "[1,2]", "");
    is_sent(&Box::new((1, 2)), "[1,2]", "");
    is_sent(&Cow::Borrowed(&(1, 2)), "[1,2]", "");
}

#[test]
fn an_array_is_one_argument_though_serde_calls_it_a_tuple() {
    is_sent_and_read([1, 2], "[[1,2]]", "");
    is_sent_and_read([(1, 2), (3, 4)], "[[[1,2],[3,4]]]", "");
    is_sent_and_read([0_u8; 0], "[[]]", "");
    is_sent(&&[1, 2], "[[1,2]]", "");
}

#[test]
fn anything_else_is_one_argument() {
    is_sent_and_read(1, "[1]", "");
    is_sent_and_read(-1, "[-1]", "");
    is_sent_and_read(1.5, "[1.5]", "");
    is_sent_and_read(true, "[true]", "");
    is_sent_and_read('x', r#"["x"]"#, "");
    is_sent_and_read("text".to_owned(), r#"["text"]"#, "");
    is_sent("text", r#"["text"]"#, "");
    is_sent_and_read(RANGE, r#"[{"from":1,"to":null}]"#, "");
    is_sent_and_read(BTreeMap::from([("a".to_owned(), 1)]), r#"[{"a":1}]"#, "");
    is_sent_and_read(BTreeMap::from([(1, 2)]), r#"[{"1":2}]"#, "");
    is_sent_and_read(vec![1, 2], "[[1,2]]", "");
    is_sent_and_read(Vec::<u8>::new(), "[[]]", "");
    is_sent_and_read(BTreeSet::from([1, 2]), "[[1,2]]", "");
    is_sent([1, 2].as_slice(), "[[1,2]]", "");
    is_sent_and_read(None::<u32>, "[null]", "");
    is_sent_and_read(Newtype(1), "[1]", "");
    is_sent_and_read(NewtypeOfTuple((1, 2)), "[[1,2]]", "");
    is_sent_and_read(Transparent { tuple: (1, 2) }, "[[1,2]]", "");
    is_sent_and_read(TupleStruct(1, 2), "[[1,2]]", "");
    is_sent_and_read(UnitStruct, "[null]", "");
    is_sent_and_read(Shape::Unit, r#"["Unit"]"#, "");
    is_sent_and_read(Shape::Newtype(1), r#"[{"Newtype":1}]"#, "");
    is_sent_and_read(Shape::Tuple(1, 2), r#"[{"Tuple":[1,2]}]"#, "");
    is_sent_and_read(Shape::Struct { a: 1 }, r#"[{"Struct":{"a":1}}]"#, "");
    is_sent_and_read(Ok::<u8, u8>(1), r#"[{"Ok":1}]"#, "");
    is_sent_and_read(json!(null), "[null]", "");
    is_sent_and_read(json!([1, 2]), "[[1,2]]", "");
    is_sent_and_read(json!({"a": 1}), r#"[{"a":1}]"#, "");
    is_sent_and_read(serde_bytes::ByteBuf::from(vec![1, 2]), r#"["\u0000AQI="]"#, "");
}

#[test]
fn some_is_sent_like_its_content() {
    is_sent_and_read(Some(1), "[1]", "");
    is_sent_and_read(Some((1, 2)), "[1,2]", "");
    is_sent_and_read(None::<(u32, u32)>, "[null]", "");
    is_sent_and_read(Some([1, 2]), "[[1,2]]", "");
    is_sent(&Some(&Kwargs(RANGE)), "[]", r#"{"from":1,"to":null}"#);
}

#[test]
fn the_wrappers_choose_the_form_of_arguments() {
    is_sent_and_read(Value((1, 2)), "[[1,2]]", "");
    is_sent_and_read(Value(()), "[null]", "");
    is_sent_and_read(Value(RANGE), r#"[{"from":1,"to":null}]"#, "");
    is_sent_and_read(Kwargs(RANGE), "[]", r#"{"from":1,"to":null}"#);
    is_sent_and_read(Kwargs(BTreeMap::from([("a".to_owned(), 1)])), "[]", r#"{"a":1}"#);
    is_sent_and_read(ArgsKwargs((1, 2), RANGE), "[1,2]", r#"{"from":1,"to":null}"#);
    is_sent_and_read(ArgsKwargs(vec![1, 2], RANGE), "[1,2]", r#"{"from":1,"to":null}"#);
    is_sent_and_read(ArgsKwargs([1, 2], RANGE), "[1,2]", r#"{"from":1,"to":null}"#);
    is_sent_and_read(ArgsKwargs((), RANGE), "[]", r#"{"from":1,"to":null}"#);
    is_sent_and_read(ArgsKwargs((1,), ()), "[1]", "");
}

#[test]
fn behaviour_20_empty_parts_are_not_sent() {
    is_sent_and_read(Kwargs(BTreeMap::<String, u8>::new()), "", "");
    is_sent_and_read(Kwargs(()), "", "");
    is_sent_and_read(ArgsKwargs((1,), BTreeMap::<String, u8>::new()), "[1]", "");
    is_sent_and_read(ArgsKwargs(Vec::<u8>::new(), ()), "", "");
    is_sent_and_read(ArgsKwargs((), ()), "", "");
}

#[test]
fn wrappers_of_the_wrong_kind_are_errors() {
    for &serializer in Serializer::ALL {
        assert_eq!(
            Payload::new(serializer, &Kwargs(1)),
            Err(EncodeError::Custom("keyword arguments must be a struct or a map, found integer".to_owned()))
        );
        assert_eq!(
            Payload::new(serializer, &ArgsKwargs("a", RANGE)),
            Err(EncodeError::Custom(
                "positional arguments must be a tuple or a list, found string".to_owned()
            ))
        );
        assert!(Payload::new(serializer, &(Payload::empty(),)).is_err());
        assert!(Payload::new(serializer, &vec![ArgsKwargs((), ())]).is_err());
    }
}

#[test]
fn a_payload_passes_through() {
    for &from in Serializer::ALL {
        for payload in [
            Payload::empty(),
            Payload::new(from, &(1, "a")).unwrap(),
            Payload::new(from, &ArgsKwargs((1,), RANGE)).unwrap(),
        ] {
            for &to in Serializer::ALL {
                let expected = payload.transcode(to).unwrap();
                assert_eq!(Payload::new(to, &payload).unwrap(), expected);
                assert_eq!(Payload::new(to, &Some(&payload)).unwrap(), expected);
            }
            assert_eq!(payload.decode::<Payload>().unwrap(), payload);
            assert_eq!(payload.decode::<Option<Payload>>().unwrap().unwrap_or_default(), payload);
        }
    }
}

#[test]
fn other_serializers_see_ordinary_values() {
    assert_eq!(serde_json::to_value(Kwargs(RANGE)).unwrap(), json!({"from": 1, "to": null}));
    assert_eq!(serde_json::to_value(ArgsKwargs((1,), RANGE)).unwrap(), json!([[1], {"from": 1, "to": null}]));
    assert_eq!(serde_json::to_value(Value((1, 2))).unwrap(), json!([1, 2]));
    assert_eq!(serde_json::from_value::<Kwargs<Range>>(json!({"from": 1})).unwrap(), Kwargs(RANGE));
    let both: ArgsKwargs<(u8,), Range> = serde_json::from_value(json!([[1], {"from": 1}])).unwrap();
    assert_eq!(both, ArgsKwargs((1,), RANGE));
    let payload = Payload::new(Serializer::Cbor, &ArgsKwargs((1,), RANGE)).unwrap();
    let through = serde_json::from_value::<Payload>(serde_json::to_value(&payload).unwrap());
    assert_eq!(through.unwrap(), payload);
    for parts in
        [json!([3, 1, 0, [0x81]]), json!([3, 2, 7, [0x80]]), json!([9, 1, 0, [0x80]]), json!([3, 1, 0, [1]])]
    {
        assert!(serde_json::from_value::<Payload>(parts).is_err());
    }
}

#[test]
fn behaviour_20_unit_accepts_nothing_and_one_null() {
    for args in ["", "[]", "[null]"] {
        assert_eq!(read::<()>(args, ""), Ok(()));
    }
    assert_eq!(read::<()>("[]", "{}"), Ok(()));
    assert_eq!(refused::<()>("[1]", ""), "expected no arguments, found 1");
    assert_eq!(refused::<()>("[null,null]", ""), "expected no arguments, found 2");
}

#[test]
fn behaviour_20_option_accepts_nothing_as_none() {
    for (args, kwargs) in [("", ""), ("[]", ""), ("[]", "{}"), ("[null]", "")] {
        assert_eq!(read::<Option<u32>>(args, kwargs), Ok(None));
        assert_eq!(read::<Option<Range>>(args, kwargs), Ok(None));
        assert_eq!(read::<Option<(u32, u32)>>(args, kwargs), Ok(None));
        assert_eq!(read::<Option<Vec<u32>>>(args, kwargs), Ok(None));
    }
    assert_eq!(read::<Option<u32>>("[1]", ""), Ok(Some(1)));
    assert_eq!(read::<Option<(u32, u32)>>("[1,2]", ""), Ok(Some((1, 2))));
    assert_eq!(read::<Option<Range>>("[]", r#"{"from":1}"#), Ok(Some(RANGE)));
    assert_eq!(refused::<Option<u32>>("[1,2]", ""), "expected 1 argument, found 2");
}

#[test]
fn a_struct_is_the_only_argument_or_the_keywords_and_never_the_list() {
    assert_eq!(read::<Range>(r#"[{"from":1}]"#, ""), Ok(RANGE));
    assert_eq!(read::<Range>("[]", r#"{"from":1}"#), Ok(RANGE));
    assert_eq!(read::<Range>(r#"[{"from":1}]"#, r#"{"from":2}"#), Ok(RANGE));
    assert_eq!(refused::<Range>("[1,2]", ""), "expected 1 argument, found 2");
    assert_eq!(refused::<Range>("[[1,2]]", ""), "argument 1: expected struct Range, found list");
    assert_eq!(refused::<Range>("", ""), "missing key \"from\"");
    assert_eq!(read::<Optional>("", ""), Ok(Optional::default()));
    assert_eq!(read::<HashMap<String, u32>>("[]", r#"{"a":1}"#), Ok(HashMap::from([("a".to_owned(), 1)])));
    assert_eq!(read::<HashMap<String, u32>>("", ""), Ok(HashMap::new()));
    assert_eq!(refused::<HashMap<u8, u8>>("[[1]]", ""), "argument 1: expected dict, found list");
}

#[test]
fn anything_else_is_exactly_one_argument() {
    assert_eq!(refused::<u32>("", ""), "expected 1 argument, found 0");
    assert_eq!(refused::<u32>("[]", r#"{"a":1}"#), "expected 1 argument, found 0");
    assert_eq!(refused::<u32>("[1,2,3]", ""), "expected 1 argument, found 3");
    assert_eq!(refused::<u32>(r#"["a",2]"#, ""), "expected 1 argument, found 2");
    assert_eq!(refused::<Vec<u32>>("[1,2]", ""), "expected 1 argument, found 2");
    assert_eq!(refused::<[u32; 2]>("[1,2]", ""), "expected 1 argument, found 2");
    assert_eq!(refused::<TupleStruct>("[1,2]", ""), "expected 1 argument, found 2");
    assert_eq!(refused::<Value<(u32, u32)>>("[1,2]", ""), "expected 1 argument, found 2");
    assert_eq!(refused::<Kwargs<Range>>("[1]", r#"{"from":1}"#), "expected no arguments, found 1");
}

#[test]
fn missing_trailing_arguments_are_none_and_surplus_ones_an_error() {
    assert_eq!(read::<(u32, Option<u32>)>("[1]", ""), Ok((1, None)));
    assert_eq!(read::<(Option<u32>, Option<Range>)>("", ""), Ok((None, None)));
    assert_eq!(read::<(u32, u32)>("[1,2]", r#"{"ignored":1}"#), Ok((1, 2)));
    assert_eq!(refused::<(u32, u32)>("[1]", ""), "expected 2 arguments, found 1");
    assert_eq!(refused::<(u32, u32)>("", ""), "expected 2 arguments, found 0");
    assert_eq!(refused::<(u32, u32)>("[1,2,3]", ""), "expected 2 arguments, found 3");
    assert_eq!(refused::<(u32,)>("[1,2,3]", ""), "expected 1 argument, found 3");
    assert_eq!(
        refused::<((u32, Option<u32>),)>("[[1]]", ""),
        "argument 1: expected list of 2, found list of 1"
    );
    assert_eq!(refused::<((u32, u32),)>("[[1,2,3]]", ""), "argument 1: expected list of 2, found list of 3");
}

#[test]
fn args_are_always_the_list_and_kwargs_always_the_keywords() {
    for payload in payloads(r#"["a",2]"#, r#"{"from":1,"to":2}"#) {
        assert_eq!(payload.args::<(String, u8)>().unwrap(), ("a".to_owned(), 2));
        assert_eq!(payload.args::<(String, u8, Option<u8>)>().unwrap(), ("a".to_owned(), 2, None));
        assert_eq!(payload.args::<Vec<serde_json::Value>>().unwrap(), [json!("a"), json!(2)]);
        assert_eq!(payload.args::<[serde_json::Value; 2]>().unwrap(), [json!("a"), json!(2)]);
        assert_eq!(payload.args::<()>().unwrap_err().to_string(), "expected no arguments, found 2");
        assert_eq!(
            payload.args::<Vec<u8>>().unwrap_err().to_string(),
            "argument 1: expected u8, found string"
        );
        assert_eq!(payload.args::<(String,)>().unwrap_err().to_string(), "expected 1 argument, found 2");
        assert_eq!(payload.kwargs::<Range>().unwrap(), Range { from: 1, to: Some(2) });
        assert_eq!(payload.kwargs::<BTreeMap<String, u8>>().unwrap().len(), 2);
    }
    for payload in payloads("", "").chain(payloads("[]", "")).chain(payloads("[]", "{}")) {
        assert_eq!(payload.args::<Vec<u8>>().unwrap(), [0_u8; 0]);
        assert_eq!(payload.args::<(Option<u8>,)>().unwrap(), (None,));
        payload.args::<()>().unwrap();
        assert_eq!(payload.kwargs::<Optional>().unwrap(), Optional::default());
        assert_eq!(payload.kwargs::<HashMap<String, u8>>().unwrap(), HashMap::new());
        assert_eq!(payload.kwargs::<Option<Range>>().unwrap(), None);
        assert_eq!(payload.kwargs::<Range>().unwrap_err().to_string(), "missing key \"from\"");
    }
}

#[test]
fn behaviour_21_chunk_and_final_result_may_differ() {
    let chunk = Payload::new(Serializer::MsgPack, &(1, "row")).unwrap();
    let last = Payload::new(Serializer::MsgPack, &Kwargs(RANGE)).unwrap();
    assert_eq!(chunk.decode::<(u8, &str)>().unwrap(), (1, "row"));
    assert_eq!(last.decode::<Range>().unwrap(), RANGE);
}

#[test]
fn text_and_binary_are_borrowed() {
    for &serializer in Serializer::ALL {
        let payload = Payload::new(serializer, &("plain", 1)).unwrap();
        let (text, _): (&str, u8) = payload.decode().unwrap();
        let range = payload.args_bytes().as_ptr_range();
        assert!(range.contains(&text.as_ptr()));
    }
    let payload = Payload::new(Serializer::MsgPack, &serde_bytes::Bytes::new(b"abc")).unwrap();
    assert_eq!(payload.decode::<&serde_bytes::Bytes>().unwrap(), serde_bytes::Bytes::new(b"abc"));
}

#[test]
fn errors_say_where_and_which_kind_but_not_what() {
    assert_eq!(refused::<(u32, u32)>(r#"[1,"secret"]"#, ""), "argument 2: expected u32, found string");
    assert_eq!(refused::<u8>("[300]", ""), "argument 1: expected u8, found integer out of range");
    assert_eq!(refused::<u32>("[-1]", ""), "argument 1: expected u32, found integer out of range");
    assert_eq!(refused::<u32>("[1.5]", ""), "argument 1: expected u32, found float");
    assert_eq!(refused::<u32>("[null]", ""), "argument 1: expected u32, found null");
    assert_eq!(refused::<u32>("[[1]]", ""), "argument 1: expected u32, found list");
    assert_eq!(refused::<u32>("[{}]", ""), "argument 1: expected u32, found dict");
    assert_eq!(refused::<String>("[1]", ""), "argument 1: expected string, found integer");
    assert_eq!(refused::<String>(r#"["\u0000YQ=="]"#, ""), "argument 1: expected string, found binary");
    assert_eq!(refused::<bool>("[1]", ""), "argument 1: expected boolean, found integer");
    assert_eq!(refused::<Vec<u8>>(r#"["a"]"#, ""), "argument 1: expected list, found string");
    assert_eq!(
        refused::<char>(r#"["secret"]"#, ""),
        "argument 1: expected character, found unsuitable string"
    );
    assert_eq!(refused::<Shape>("[1]", ""), "argument 1: expected enum Shape, found integer");
    assert_eq!(
        refused::<Shape>(r#"["secret"]"#, ""),
        r#"argument 1: expected one of "Unit", "Newtype", "Tuple", "Struct", found another variant"#
    );
    assert_eq!(
        refused::<Shape>(r#"["Newtype"]"#, ""),
        "argument 1: expected variant with a value, found variant without a value"
    );
    assert_eq!(
        refused::<Shape>(r#"[{"Unit":1,"Newtype":1}]"#, ""),
        "argument 1: expected variant without a value, found variant with a value"
    );
    assert_eq!(
        refused::<Shape>(r#"[{"Unit":null,"Newtype":1}]"#, ""),
        "argument 1: expected dict with one key, the variant, found unsuitable dict"
    );
    assert_eq!(refused::<Range>(r#"[{"from":"a"}]"#, ""), "argument 1: expected u32, found string");
    assert_eq!(refused::<Range>("[]", r#"{"from":"a"}"#), "keyword \"from\": expected u32, found string");
    assert_eq!(
        refused::<HashMap<String, u32>>("[]", r#"{"limit":"10"}"#),
        "keyword \"limit\": expected u32, found string"
    );
    assert_eq!(
        refused::<ArgsKwargs<(u8,), Range>>("[1]", r#"{"from":-1}"#),
        "keyword \"from\": expected u32, found integer out of range"
    );
    let debug = format!("{:?}", Payload::new(Serializer::Json, "secret").unwrap());
    assert_eq!(debug, "Payload(json, 10 bytes)");
}

#[test]
fn behaviour_56_whole_floats_are_integers_where_these_are_asked_for() {
    assert_eq!(read::<u8>("[1.0]", ""), Ok(1));
    assert_eq!(read::<i64>("[-2.0]", ""), Ok(-2));
    assert_eq!(read::<u64>("[9007199254740992.0]", ""), Ok(1 << 53));
    assert_eq!(refused::<u64>("[9007199254740994.0]", ""), "argument 1: expected u64, found float");
    assert_eq!(refused::<u8>("[-1.0]", ""), "argument 1: expected u8, found integer out of range");
    assert_eq!(read::<f64>("[1]", ""), Ok(1.0));
}

#[test]
fn integer_and_boolean_keys_are_text() {
    let map = BTreeMap::from([(-1_i64, 'a'), (2, 'b')]);
    is_sent_and_read(map, r#"[{"-1":"a","2":"b"}]"#, "");
    is_sent_and_read(BTreeMap::from([(u64::MAX, 1)]), r#"[{"18446744073709551615":1}]"#, "");
    is_sent_and_read(BTreeMap::from([(true, 1), (false, 0)]), r#"[{"false":0,"true":1}]"#, "");
    is_sent_and_read(BTreeMap::from([('x', 1)]), r#"[{"x":1}]"#, "");
    assert_eq!(
        refused::<BTreeMap<u8, u8>>(r#"[{"300":1}]"#, ""),
        "argument 1: expected u8, found integer out of range"
    );
    assert_eq!(refused::<BTreeMap<u8, u8>>(r#"[{"a":1}]"#, ""), "argument 1: expected u8, found string");
    for &serializer in Serializer::ALL {
        let error = Payload::new(serializer, &BTreeMap::from([((1, 2), 3)]));
        assert_eq!(error, Err(EncodeError::Key("list")));
        assert_eq!(
            Payload::new(serializer, &BTreeMap::from([(None::<u8>, 3)])),
            Err(EncodeError::Key("null"))
        );
    }
}

#[test]
fn bytes_are_read_from_binary_and_lists_and_the_reverse() {
    for args in [r#"["\u0000AQI="]"#, "[[1,2]]"] {
        assert_eq!(read::<serde_bytes::ByteBuf>(args, "").unwrap(), vec![1, 2]);
        assert_eq!(read::<Vec<u8>>(args, "").unwrap(), [1, 2]);
        assert_eq!(read::<[u8; 2]>(args, "").unwrap(), [1, 2]);
    }
}

#[test]
fn integers_beyond_64_bits_cannot_be_written() {
    for &serializer in Serializer::ALL {
        let error = Payload::new(serializer, &(u128::from(u64::MAX) + 1));
        assert_eq!(error, Err(EncodeError::Integer("18446744073709551616".to_owned())));
        let error = Payload::new(serializer, &(i128::from(i64::MIN) - 1));
        assert_eq!(error, Err(EncodeError::Integer("-9223372036854775809".to_owned())));
    }
}

#[test]
fn behaviour_59_values_nested_too_deep_cannot_be_written() {
    let nested = |depth| (0..depth).fold(json!(1), |value, _| json!([value]));
    for &serializer in Serializer::ALL {
        // The message and its arguments are the first two levels.
        let payload = Payload::new(serializer, &nested(62)).unwrap();
        assert_eq!(payload.decode::<serde_json::Value>().unwrap(), nested(62));
        assert_eq!(Payload::new(serializer, &nested(63)), Err(EncodeError::TooDeep(64)));
        assert_eq!(Arguments::new(serializer).arg(&nested(63)).finish(), Err(EncodeError::TooDeep(64)));
        assert_eq!(Arguments::new(serializer).kwarg("a", &nested(62)).finish().unwrap().elements_there(), 2);
    }
}

trait ElementsThere {
    fn elements_there(&self) -> usize;
}

impl ElementsThere for Payload {
    fn elements_there(&self) -> usize {
        usize::from(!self.args_bytes().is_empty()) + usize::from(!self.kwargs_bytes().is_empty())
    }
}

#[test]
fn arguments_are_put_together() {
    for &serializer in Serializer::ALL {
        let payload = Arguments::new(serializer)
            .arg(&1)
            .args(&("a", [2, 3]))
            .args(&())
            .args(&vec![4, 5])
            .args(&[6, 7])
            .args([8].as_slice())
            .arg(&(9, 10))
            .kwarg("from", &1)
            .kwargs(&BTreeMap::from([("to", 2)]))
            .finish()
            .unwrap();
        let json = payload.transcode(Serializer::Json).unwrap();
        assert_eq!(json.args_bytes(), br#"[1,"a",[2,3],4,5,6,7,8,[9,10]]"#);
        assert_eq!(json.kwargs_bytes(), br#"{"from":1,"to":2}"#);
        assert_eq!(payload.kwargs::<Range>().unwrap(), Range { from: 1, to: Some(2) });

        let many = (0..100).fold(Arguments::new(serializer), |all, n| all.arg(&n)).finish().unwrap();
        assert_eq!(many, Arguments::new(serializer).args(&(0..100).collect::<Vec<_>>()).finish().unwrap());

        assert_eq!(Arguments::new(serializer).finish().unwrap(), Payload::empty());
        assert_eq!(
            Arguments::new(serializer).args(&()).kwargs(&Optional2 {}).finish().unwrap(),
            Payload::empty()
        );
        let only = Arguments::new(serializer).kwargs(&RANGE).finish().unwrap();
        assert_eq!(only, Payload::new(serializer, &Kwargs(RANGE)).unwrap());
        let first = Arguments::new(serializer).arg(&u128::MAX).kwargs(&1).finish();
        assert!(matches!(first, Err(EncodeError::Integer(_))));
        let error = Arguments::new(serializer).kwargs(&[1]).finish().unwrap_err();
        assert_eq!(error.to_string(), "keyword arguments must be a struct or a map, found list");
    }
}

#[derive(Serialize)]
struct Optional2 {}

#[test]
fn lists_of_arguments_are_tuples_arrays_slices_and_vectors() {
    fn is_args<A: Args + ?Sized>() {}
    is_args::<()>();
    is_args::<(u8,)>();
    is_args::<(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, String)>();
    is_args::<Vec<Range>>();
    is_args::<[u8; 3]>();
    is_args::<[u8]>();
    is_args::<&[u8]>();
    is_args::<&(u8, &str)>();
}
