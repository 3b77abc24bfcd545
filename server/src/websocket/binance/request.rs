//! What a client may ask for while it is connected: JSON with a `method`, its `params` and an `id` that the answer repeats.

use super::super::frame::Frame;
use super::super::subscription::Key;
use super::mistake::Mistake;
use super::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most characters of an id that is a string.
const MAX_ID: usize = 36;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Subscribe(BTreeSet<Key>),
    Unsubscribe(BTreeSet<Key>),
    ListSubscriptions,
    /// Whether events say of which stream they are.
    SetCombined(bool),
    GetCombined,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

#[derive(Deserialize)]
struct Call {
    method: Method,
    #[serde(default)]
    params: Option<Vec<Value>>,
}

/// Reads a message: the id, null where it has none that can be repeated, and what is asked for.
pub(super) fn parse(text: &str) -> (Value, Result<Request, Mistake>) {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return (Value::Null, Err(Mistake::Json(error.to_string()))),
    };
    match id(&message) {
        Some(id) => (id, request(text)),
        None => {
            let detail =
                "request ID must be an integer, a string of at most 36 letters, digits, - and _, or null";
            (Value::Null, Err(Mistake::Invalid(detail.to_owned())))
        }
    }
}

/// The id of a message; null is one.
fn id(message: &Value) -> Option<Value> {
    // What is no object has no method either, which says more.
    let Some(message) = message.as_object() else { return Some(Value::Null) };
    let id = message.get("id")?;
    let is_sane = |text: &str| {
        text.len() <= MAX_ID
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let is_id = match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => is_sane(text),
        _ => false,
    };
    is_id.then(|| id.clone())
}

/// The second reading of the text, for the place of a mistake in it.
fn request(text: &str) -> Result<Request, Mistake> {
    let Call { method, params } =
        serde_json::from_str(text).map_err(|error| Mistake::Invalid(error.to_string()))?;
    let params = params.unwrap_or_default();
    Ok(match method {
        Method::Subscribe => Request::Subscribe(streams(&params)?),
        Method::Unsubscribe => Request::Unsubscribe(streams(&params)?),
        Method::ListSubscriptions => {
            at_most(&params, 0)?;
            Request::ListSubscriptions
        }
        Method::SetProperty => {
            combined(&params, 2)?;
            match params.get(1) {
                Some(Value::Bool(combined)) => Request::SetCombined(*combined),
                _ => return Err(Mistake::NotBoolean),
            }
        }
        Method::GetProperty => {
            combined(&params, 1)?;
            Request::GetCombined
        }
    })
}

fn streams(params: &[Value]) -> Result<BTreeSet<Key>, Mistake> {
    if params.is_empty() {
        return Err(Mistake::Invalid("params must name a stream".to_owned()));
    }
    let parse = |name: &Value| match name {
        Value::String(name) => stream::parse(name).map_err(|refusal| Mistake::stream(&refusal)),
        other => Err(Mistake::Invalid(format!("the name of a stream must be a string, and {other} is none"))),
    };
    params.iter().map(parse).collect()
}

/// Checks that the first parameter is the name of the one property, and that there are no more than so many.
fn combined(params: &[Value], most: usize) -> Result<(), Mistake> {
    at_most(params, most)?;
    match params.first() {
        Some(Value::String(name)) if name == "combined" => Ok(()),
        Some(Value::String(_)) => Err(Mistake::UnknownProperty),
        _ => Err(Mistake::Invalid("property name must be a string".to_owned())),
    }
}

fn at_most(params: &[Value], most: usize) -> Result<(), Mistake> {
    match params.len() <= most {
        true => Ok(()),
        false => Err(Mistake::Invalid("too many parameters".to_owned())),
    }
}

/// The answer to a request with this id.
pub(super) fn answer(id: &Value, outcome: Result<Value, Mistake>) -> Frame {
    let answer = match outcome {
        Ok(result) => json!({ "result": result, "id": id }),
        Err(mistake) => {
            json!({ "error": { "code": mistake.code(), "msg": mistake.message() }, "id": id })
        }
    };
    answer.to_string().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn mistake(text: &str) -> (i32, String) {
        let mistake = parse(text).1.unwrap_err();
        (mistake.code(), mistake.message())
    }

    #[test]
    fn every_method_is_understood() {
        let keys = |names: &[&str]| names.iter().map(|name| stream::parse(name).unwrap()).collect();
        for (text, request) in [
            (
                r#"{"method":"SUBSCRIBE","params":["btcusd@kline_1m","ethusd@kline_5m"],"id":0}"#,
                Request::Subscribe(keys(&["btcusd@kline_1m", "ethusd@kline_5m"])),
            ),
            (
                r#"{"id":0,"params":["btcusd@kline_1m"],"method":"UNSUBSCRIBE","more":{}}"#,
                Request::Unsubscribe(keys(&["btcusd@kline_1m"])),
            ),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":0}"#, Request::ListSubscriptions),
            (r#"{"method":"SET_PROPERTY","params":["combined",true],"id":0}"#, Request::SetCombined(true)),
            (r#"{"method":"GET_PROPERTY","params":["combined"],"id":0}"#, Request::GetCombined),
        ] {
            assert_eq!(parse(text), (json!(0), Ok(request)), "{text}");
        }
    }

    #[test]
    fn an_id_is_an_integer_a_short_word_or_null() {
        let uuid = "0b54a45c-6d31-4b5a-9f6c-5b0a6f0d1f5e";
        for id in [json!(1), json!(-7), json!(u64::MAX), json!("a"), json!(uuid), json!(null)] {
            let text = json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
            assert_eq!(parse(&text), (id, Ok(Request::ListSubscriptions)));
        }
        for id in [json!(1.5), json!("a b"), json!([1]), json!(true), json!("x".repeat(37))] {
            let text = json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
            assert_eq!(mistake(&text).0, 2, "{text}");
        }
        assert!(mistake(r#"{"method":"LIST_SUBSCRIPTIONS"}"#).1.starts_with("Invalid request: request ID"));
    }

    #[test]
    fn mistakes_have_the_codes_and_words_of_binance() {
        for (text, code, message) in [
            ("{", 3, "Invalid JSON: EOF while parsing an object at line 1 column 1"),
            ("ping", 3, "Invalid JSON: expected value at line 1 column 1"),
            (r#"{"id":1}"#, 2, "Invalid request: missing field `method` at line 1 column 8"),
            (
                r#"{"method":"subscribe","id":1}"#,
                2,
                "Invalid request: unknown variant `subscribe`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, \
                 `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 21",
            ),
            (r#"{"method":"SUBSCRIBE","params":[],"id":1}"#, 2, "Invalid request: params must name a stream"),
            (
                r#"{"method":"SUBSCRIBE","params":[7],"id":1}"#,
                2,
                "Invalid request: the name of a stream must be a string, and 7 is none",
            ),
            (
                r#"{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":1}"#,
                2,
                "Invalid request: too many parameters",
            ),
            (r#"{"method":"GET_PROPERTY","params":["depth"],"id":1}"#, 0, "Unknown property"),
            (r#"{"method":"GET_PROPERTY","id":1}"#, 2, "Invalid request: property name must be a string"),
            (
                r#"{"method":"GET_PROPERTY","params":["combined",true],"id":1}"#,
                2,
                "Invalid request: too many parameters",
            ),
            (
                r#"{"method":"SET_PROPERTY","params":["combined","true"],"id":1}"#,
                1,
                "Invalid value type: expected Boolean",
            ),
        ] {
            assert_eq!(mistake(text), (code, message.to_owned()), "{text}");
        }
        assert_eq!(mistake("[]").0, 2);
        let (_, message) = mistake(r#"{"method":"SUBSCRIBE","params":["btcusd@depth"],"id":1}"#);
        assert!(message.contains("btcusd@depth") && message.contains("kline"), "{message}");
    }
}
