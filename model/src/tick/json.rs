//! A strict JSON scanner that keeps a number's digits.
//!
//! Grammar: RFC 8259, with the limits of `serde_json` (128 levels of nesting, escapes must form
//! valid Unicode), so that the two accept the same texts.

mod number;

use super::error::DecodeError;
use number::{Digits, Number};
use std::borrow::Cow;

/// The most levels of objects and arrays, the outermost object included.
const MAX_DEPTH: usize = 127;

/// A value of an object's field; what is inside an array or object is checked and skipped.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number(Number<'a>),
    /// A string, without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Value<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Array => "an array",
            Value::Object => "an object",
        }
    }
}

/// A position in a JSON text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Reads the whole text as one object and shows each of its fields.
    pub(super) fn object(&mut self, mut visit: impl FnMut(&str, Value<'a>)) -> Result<(), DecodeError> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.expected("'{'"));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let name = self.name()?;
                let value = self.value()?;
                visit(&name, value);
                if self.separator(b'}', "',' or '}'")? {
                    break;
                }
            }
        }
        self.space();
        if self.at < self.bytes.len() {
            return Err(DecodeError::Malformed(format!("trailing characters at byte {}", self.at)));
        }
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn expected(&self, what: &str) -> DecodeError {
        DecodeError::Malformed(format!("expected {what} at byte {}", self.at))
    }

    /// A field's name, its colon and the space around.
    #[inline]
    fn name(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a field name"));
        }
        let name = self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("':'"));
        }
        self.at += 1;
        self.space();
        Ok(name)
    }

    /// A comma (false) or the closing byte (true).
    #[inline]
    fn separator(&mut self, close: u8, what: &str) -> Result<bool, DecodeError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.expected(what)),
        }
    }

    #[inline]
    fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[') => self.skip_nested().map(|()| Value::Array),
            Some(b'{') => self.skip_nested().map(|()| Value::Object),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Value<'a>, DecodeError> {
        for (literal, value) in [("null", Value::Null), ("true", Value::Bool), ("false", Value::Bool)] {
            if self.bytes[self.at..].starts_with(literal.as_bytes()) {
                self.at += literal.len();
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }

    /// A string, from its opening quote on.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Cow::Borrowed(&self.text[start..at]));
                }
                Some(b'\\') => return self.escaped_string(start, at),
                Some(0..0x20) => {
                    self.at = at;
                    return Err(self.expected("no control character in a string"));
                }
                Some(_) => at += 1,
                None => {
                    self.at = at;
                    return Err(self.expected("'\"'"));
                }
            }
        }
    }

    /// A string whose first escape stands at `at`.
    #[cold]
    fn escaped_string(&mut self, start: usize, mut at: usize) -> Result<Cow<'a, str>, DecodeError> {
        let mut out = self.text[start..at].to_owned();
        let mut plain = at;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => {
                    out.push_str(&self.text[plain..at]);
                    self.at = at + 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    out.push_str(&self.text[plain..at]);
                    self.at = at;
                    out.push(self.escape()?);
                    at = self.at;
                    plain = at;
                }
                Some(0..0x20) => {
                    self.at = at;
                    return Err(self.expected("no control character in a string"));
                }
                Some(_) => at += 1,
                None => {
                    self.at = at;
                    return Err(self.expected("'\"'"));
                }
            }
        }
    }

    /// One escape, from its backslash on.
    fn escape(&mut self) -> Result<char, DecodeError> {
        let simple = match self.bytes.get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex_unit()?;
                let code = match first {
                    0xd800..0xdc00 if self.bytes[self.at..].starts_with(b"\\u") => {
                        let second = self.hex_unit()?;
                        if !(0xdc00..0xe000).contains(&second) {
                            return Err(self.expected("a low surrogate"));
                        }
                        0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    code => code,
                };
                return char::from_u32(code).ok_or_else(|| self.expected("no lone surrogate"));
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += 2;
        Ok(simple)
    }

    /// `\uXXXX`, from its backslash on.
    fn hex_unit(&mut self) -> Result<u32, DecodeError> {
        let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
        let mut unit = 0;
        for &digit in digits {
            let value =
                char::from(digit).to_digit(16).ok_or_else(|| self.expected("four hexadecimal digits"))?;
            unit = unit * 16 + value;
        }
        if digits.len() < 4 {
            return Err(self.expected("four hexadecimal digits"));
        }
        self.at += 6;
        Ok(unit)
    }

    #[inline]
    fn number(&mut self) -> Result<Number<'a>, DecodeError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let mut digits = Digits::default();
        let mut exponent = 0i32;
        let mut whole = true;
        match self.peek() {
            // A leading zero stands alone.
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => {
                while let Some(byte @ b'0'..=b'9') = self.peek() {
                    if !digits.push(byte) {
                        exponent = exponent.saturating_add(1);
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.expected("a digit")),
        }
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            let from = self.at;
            let mut significant = from;
            while let Some(byte @ b'0'..=b'9') = self.peek() {
                self.at += 1;
                if byte != b'0' {
                    significant = self.at;
                }
            }
            if self.at == from {
                return Err(self.expected("a digit"));
            }
            for &byte in &self.bytes[from..significant] {
                if digits.push(byte) {
                    exponent = exponent.saturating_sub(1);
                }
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            let mut sign = 1;
            if let Some(byte @ (b'+' | b'-')) = self.peek() {
                sign = if byte == b'-' { -1 } else { 1 };
                self.at += 1;
            }
            let from = self.at;
            let mut written = 0i32;
            while let Some(byte @ b'0'..=b'9') = self.peek() {
                written = written.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
                self.at += 1;
            }
            if self.at == from {
                return Err(self.expected("a digit"));
            }
            exponent = exponent.saturating_add(sign * written);
        }
        Ok(Number { text: &self.text[start..self.at], negative, mantissa: digits.mantissa, exponent, whole })
    }

    /// Checks and skips an array or object, without recursion.
    fn skip_nested(&mut self) -> Result<(), DecodeError> {
        // One bit a level, set for an object. The outermost object of the record is level 0.
        let mut objects = 0u128;
        let mut depth = 1usize;
        'value: loop {
            match self.peek() {
                Some(open @ (b'[' | b'{')) => {
                    if depth >= MAX_DEPTH {
                        return Err(DecodeError::Malformed(format!(
                            "nested deeper than {MAX_DEPTH} levels at byte {}",
                            self.at
                        )));
                    }
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    self.space();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                        depth -= 1;
                        objects >>= 1;
                    } else {
                        if open == b'{' {
                            self.name()?;
                        }
                        continue 'value;
                    }
                }
                _ => {
                    self.value()?;
                }
            }
            // After a value: close the levels that end here, or continue in the innermost one.
            loop {
                if depth == 1 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                let (close, what) = if object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
                if self.separator(close, what)? {
                    depth -= 1;
                    objects >>= 1;
                    continue;
                }
                self.space();
                if object {
                    self.name()?;
                }
                continue 'value;
            }
        }
    }
}
