//! What a filter lets through, and which are refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn filter(wire: Value) -> Filter {
    Filter::try_from(wire).unwrap()
}

fn fact(key: &str) -> Option<Value> {
    match key {
        "year" => Some(json!(2024)),
        "tags" => Some(json!(["red", "blue"])),
        "day" => Some(json!("2024-05-01")),
        "moment" => Some(json!("2024-05-01T02:00:00+02:00")),
        "draft" => Some(json!(false)),
        "none" => Some(json!([])),
        "big" => Some(json!(9_007_199_254_740_993_u64)),
        _ => None,
    }
}

fn leaf(kind: &str, key: &str, value: &Value) -> Value {
    json!({"type": kind, "key": key, "value": value})
}

#[test]
fn a_filter_compares_numbers_strings_dates_and_lists() {
    for (kind, key, value, wanted) in [
        ("eq", "year", json!(2024.0), true),
        ("eq", "year", json!("2024"), false),
        ("eq", "draft", json!(false), true),
        ("eq", "tags", json!("blue"), true),
        ("eq", "absent", json!(1), false),
        ("ne", "tags", json!("blue"), false),
        ("ne", "absent", json!("x"), true),
        ("gt", "year", json!(2024), false),
        ("gt", "big", json!(9_007_199_254_740_992_u64), true),
        ("gte", "day", json!("2024-01-01"), true),
        ("lt", "year", json!(2024.5), true),
        ("lt", "year", json!("3000"), false),
        ("lte", "absent", json!(1), false),
        ("in", "tags", json!(["blue", "green"]), true),
        ("in", "year", json!([]), false),
        ("nin", "tags", json!(["blue"]), false),
        ("nin", "absent", json!(["x"]), true),
        ("contains", "tags", json!("lu"), true),
        ("contains", "tags", json!("blues"), false),
        ("contains", "year", json!("20"), false),
        ("prefix", "day", json!("2024-"), true),
        ("prefix", "tags", json!("e"), false),
        ("exists", "year", json!(true), true),
        ("exists", "none", json!(true), true),
        ("exists", "absent", json!(false), true),
        ("exists", "absent", json!(true), false),
    ] {
        let wire = leaf(kind, key, &value);
        assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
    }
    assert!(filter(json!({"type": "exists", "key": "year"})).matches(&fact));
}

#[test]
fn dates_are_moments_whatever_their_offset_and_precision() {
    for (kind, key, value, wanted) in [
        ("eq", "moment", "2024-05-01", true),
        ("eq", "day", "2024-05-01T00:00:00.000Z", true),
        ("gt", "moment", "2024-04-30T23:59:59Z", true),
        ("lt", "moment", "2024-05-01T01:00:00+01:30", false),
        ("gte", "day", "2024-05-01T00:00:00Z", true),
        ("in", "moment", "2024-05-01T00:00:00Z", true),
    ] {
        let value = if kind == "in" { json!([value]) } else { json!(value) };
        let wire = leaf(kind, key, &value);
        assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
    }
    assert_eq!(moment("2024-13-01"), None);
    assert_eq!(moment("4711-00-0x"), None);
}

#[test]
fn filters_are_joined_by_and_or_and_not() {
    let (yes, no) = (leaf("eq", "year", &json!(2024)), leaf("eq", "year", &json!(1)));
    for (kind, parts, wanted) in [
        ("and", vec![&yes, &yes], true),
        ("and", vec![&yes, &no], false),
        ("or", vec![&no, &yes], true),
        ("or", vec![&no], false),
    ] {
        let wire = json!({"type": kind, "filters": parts});
        assert_eq!(filter(wire.clone()).matches(&fact), wanted, "{wire}");
        assert_eq!(filter(json!({"type": "not", "filter": wire})).matches(&fact), !wanted);
    }
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused_where_it_is_wrong() {
    let leaf = leaf("eq", "a", &json!(1));
    let deep = (0..9).fold(leaf.clone(), |inner, _| json!({"type": "not", "filter": inner}));
    for (wire, pointer) in [
        (json!("x"), ""),
        (json!({}), "/type"),
        (json!({"type": "like", "key": "a", "value": 1}), "/type"),
        (json!({"type": "and", "filters": []}), "/filters"),
        (json!({"type": "and", "filters": [leaf, {"type": "eq", "value": 1}]}), "/filters/1/key"),
        (json!({"type": "or", "filters": vec![leaf.clone(); 101]}), "/filters/100"),
        (json!({"type": "not", "filters": [leaf]}), "/filters"),
        (json!({"type": "eq", "key": "a", "value": 1, "case": false}), "/case"),
        (json!({"type": "eq", "key": "a"}), "/value"),
        (json!({"type": "eq", "key": "a", "value": null}), "/value"),
        (json!({"type": "gt", "key": "a", "value": true}), "/value"),
        (json!({"type": "in", "key": "a", "value": 1}), "/value"),
        (json!({"type": "in", "key": "a", "value": [1, [2]]}), "/value/1"),
        (json!({"type": "nin", "key": "a", "value": vec![1; 1001]}), "/value"),
        (
            json!({"type": "or", "filters": vec![json!({"type": "in", "key": "a", "value": vec![1; 600]}); 2]}),
            "/filters/1/value",
        ),
        (json!({"type": "contains", "key": "a", "value": ""}), "/value"),
        (json!({"type": "prefix", "key": "a", "value": 7}), "/value"),
        (json!({"type": "exists", "key": "a", "value": "yes"}), "/value"),
        (deep, &"/filter".repeat(8)),
    ] {
        let error = Filter::try_from(wire.clone()).unwrap_err();
        assert_eq!(error.pointer, pointer, "{wire}: {error}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "[a-c]{0,3}|20[0-9]{2}-0[1-9]-1[0-9]".prop_map(Value::from),
    ]
}

/// Values that are often equal to each other without being written alike.
fn any_alike() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-2..3i64).prop_map(Value::from),
        (-4..5i32).prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        "2026-01-0[12](T00:00:00Z|T01:00:00\\+01:00)?|[ab]?".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn a_comparison_and_its_opposite_never_agree_on_a_fact_that_is_there(found in any_value(), value in any_value()) {
        let holds = |kind: &str| {
            let value = if kind.ends_with("in") { json!([value]) } else { value.clone() };
            Filter::try_from(leaf(kind, "a", &value)).map(|filter| filter.matches(&|_| Some(found.clone())))
        };
        for (one, other) in [("eq", "ne"), ("in", "nin")] {
            prop_assert_ne!(holds(one).unwrap(), holds(other).unwrap());
        }
        if order(&found, &value).is_some() && !value.is_boolean() {
            prop_assert_ne!(holds("gt").unwrap(), holds("lte").unwrap());
            prop_assert_ne!(holds("lt").unwrap(), holds("gte").unwrap());
        }
    }

    #[test]
    fn a_list_of_one_value_holds_what_equals_it(found in any_alike(), value in any_alike()) {
        let holds = |kind: &str, value: Value| {
            Filter::try_from(leaf(kind, "a", &value)).unwrap().matches(&|_| Some(found.clone()))
        };
        prop_assert_eq!(holds("in", json!([value])), holds("eq", value));
    }

    #[test]
    fn no_json_breaks_the_reader(words in "\\PC{0,20}", depth in 0..12usize) {
        let wire = (0..depth).fold(json!({"type": words, "key": words, "value": words}), |inner, at| {
            if at % 2 == 0 { json!({"type": "not", "filter": inner}) } else { json!({"type": "or", "filters": [inner]}) }
        });
        let _ = Filter::try_from(wire);
    }
}
