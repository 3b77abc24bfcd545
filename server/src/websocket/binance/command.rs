//! The requests of a connected client: JSON with a `method`, its `params`, and an `id` that the
//! response repeats.

use super::super::frame::Frame;
use super::super::subscription::SeriesKey;
use super::errors::StreamError;
use super::stream_name;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The maximum length of an id that is a string.
const MAX_ID_CHARS: usize = 36;

/// A valid request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StreamCommand {
    Subscribe(BTreeSet<SeriesKey>),
    Unsubscribe(BTreeSet<SeriesKey>),
    ListSubscriptions,
    /// Whether each event comes with the name of its stream.
    SetCombined(bool),
    GetCombined,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CommandMethod {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

#[derive(Deserialize)]
struct RawCommand {
    method: CommandMethod,
    #[serde(default)]
    params: Option<Vec<Value>>,
}

/// Reads a message: its id, which is null if there is no valid one, and its request.
pub(super) fn parse(text: &str) -> (Value, Result<StreamCommand, StreamError>) {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return (Value::Null, Err(StreamError::Json(error.to_string()))),
    };
    match id(&message) {
        Some(id) => (id, command(text)),
        None => {
            let detail =
                "request ID must be an integer, a string of at most 36 letters, digits, - and _, or null";
            (Value::Null, Err(StreamError::Invalid(detail.to_owned())))
        }
    }
}

/// The id of a message, which may be null; `None` if it is invalid.
fn id(message: &Value) -> Option<Value> {
    // A message that is no object has no method either, and that error says more.
    let Some(message) = message.as_object() else { return Some(Value::Null) };
    let id = message.get("id")?;
    let is_sane = |text: &str| {
        text.len() <= MAX_ID_CHARS
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

/// Reads the text a second time, so that an error has its line and column.
fn command(text: &str) -> Result<StreamCommand, StreamError> {
    let RawCommand { method, params } =
        serde_json::from_str(text).map_err(|error| StreamError::Invalid(error.to_string()))?;
    let params = params.unwrap_or_default();
    Ok(match method {
        CommandMethod::Subscribe => StreamCommand::Subscribe(streams(&params)?),
        CommandMethod::Unsubscribe => StreamCommand::Unsubscribe(streams(&params)?),
        CommandMethod::ListSubscriptions => {
            check_count(&params, 0)?;
            StreamCommand::ListSubscriptions
        }
        CommandMethod::SetProperty => {
            check_property(&params, 2)?;
            match params.get(1) {
                Some(Value::Bool(combined)) => StreamCommand::SetCombined(*combined),
                _ => return Err(StreamError::NotBoolean),
            }
        }
        CommandMethod::GetProperty => {
            check_property(&params, 1)?;
            StreamCommand::GetCombined
        }
    })
}

fn streams(params: &[Value]) -> Result<BTreeSet<SeriesKey>, StreamError> {
    if params.is_empty() {
        return Err(StreamError::Invalid("params must name a stream".to_owned()));
    }
    let parse = |name: &Value| match name {
        Value::String(name) => stream_name::parse(name).map_err(|refusal| StreamError::stream(&refusal)),
        other => Err(StreamError::Invalid(format!("the name of a stream must be a string, not {other}"))),
    };
    params.iter().map(parse).collect()
}

/// Checks that the first parameter names the only property, and that there are at most `max`.
fn check_property(params: &[Value], max: usize) -> Result<(), StreamError> {
    check_count(params, max)?;
    match params.first() {
        Some(Value::String(name)) if name == "combined" => Ok(()),
        Some(Value::String(_)) => Err(StreamError::UnknownProperty),
        _ => Err(StreamError::Invalid("property name must be a string".to_owned())),
    }
}

fn check_count(params: &[Value], max: usize) -> Result<(), StreamError> {
    match params.len() <= max {
        true => Ok(()),
        false => Err(StreamError::Invalid("too many parameters".to_owned())),
    }
}

/// The response to the request with this id.
pub(super) fn response(id: &Value, outcome: Result<Value, StreamError>) -> Frame {
    let response = match outcome {
        Ok(result) => json!({ "result": result, "id": id }),
        Err(error) => {
            json!({ "error": { "code": error.code(), "msg": error.message() }, "id": id })
        }
    };
    response.to_string().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn error_of(text: &str) -> (i32, String) {
        let error = parse(text).1.unwrap_err();
        (error.code(), error.message())
    }

    #[test]
    fn every_method_is_parsed() {
        let keys = |names: &[&str]| names.iter().map(|name| stream_name::parse(name).unwrap()).collect();
        for (text, command) in [
            (
                r#"{"method":"SUBSCRIBE","params":["btcusd@kline_1m","ethusd@kline_5m"],"id":0}"#,
                StreamCommand::Subscribe(keys(&["btcusd@kline_1m", "ethusd@kline_5m"])),
            ),
            (
                r#"{"id":0,"params":["btcusd@kline_1m"],"method":"UNSUBSCRIBE","more":{}}"#,
                StreamCommand::Unsubscribe(keys(&["btcusd@kline_1m"])),
            ),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":0}"#, StreamCommand::ListSubscriptions),
            (
                r#"{"method":"SET_PROPERTY","params":["combined",true],"id":0}"#,
                StreamCommand::SetCombined(true),
            ),
            (r#"{"method":"GET_PROPERTY","params":["combined"],"id":0}"#, StreamCommand::GetCombined),
        ] {
            assert_eq!(parse(text), (json!(0), Ok(command)), "{text}");
        }
    }

    #[test]
    fn an_id_is_an_integer_a_short_string_or_null() {
        let uuid = "0b54a45c-6d31-4b5a-9f6c-5b0a6f0d1f5e";
        for id in [json!(1), json!(-7), json!(u64::MAX), json!("a"), json!(uuid), json!(null)] {
            let text = json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
            assert_eq!(parse(&text), (id, Ok(StreamCommand::ListSubscriptions)));
        }
        for id in [json!(1.5), json!("a b"), json!([1]), json!(true), json!("x".repeat(37))] {
            let text = json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
            assert_eq!(error_of(&text).0, 2, "{text}");
        }
        assert!(error_of(r#"{"method":"LIST_SUBSCRIPTIONS"}"#).1.starts_with("Invalid request: request ID"));
    }

    #[test]
    fn errors_have_the_codes_and_texts_of_binance() {
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
                "Invalid request: the name of a stream must be a string, not 7",
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
            assert_eq!(error_of(text), (code, message.to_owned()), "{text}");
        }
        assert_eq!(error_of("[]").0, 2);
        let (_, message) = error_of(r#"{"method":"SUBSCRIBE","params":["btcusd@depth"],"id":1}"#);
        assert!(message.contains("btcusd@depth") && message.contains("kline"), "{message}");
    }
}
