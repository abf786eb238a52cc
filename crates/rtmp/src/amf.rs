//! AMF0 (Adobe AMF 0 specification), as far as RTMP uses it, within bounds.

mod three;

use bytes::{BufMut, Bytes, BytesMut};

use self::three::References;

/// Deepest nesting of objects and arrays. Real commands have two levels.
const MAX_DEPTH: usize = 16;

/// Most values in one message, nested ones included.
const MAX_VALUES: usize = 4096;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// §2.2
    Number(f64),
    /// §2.3
    Boolean(bool),
    /// §2.4, §2.14. What is not UTF-8 is replaced.
    String(String),
    /// §2.5, §2.18; typed objects lose their class name.
    Object(Vec<(String, Value)>),
    /// §2.7
    Null,
    /// §2.8
    Undefined,
    /// §2.10
    EcmaArray(Vec<(String, Value)>),
    /// §2.12
    StrictArray(Vec<Value>),
    /// §2.13, milliseconds since 1970.
    Date(f64),
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A property, if it is an object or an associative array that has it.
    pub fn property(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => {
                properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Reads all values of a message.
pub fn decode(data: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut decoder = Decoder {
        data,
        at: 0,
        values: 0,
        references: References::default(),
    };
    let mut values = Vec::new();
    while decoder.at < data.len() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
    values: usize,
    references: References,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.count(depth)?;
        Ok(match self.bytes::<1>()?[0] {
            0 => Value::Number(f64::from_be_bytes(self.bytes()?)),
            1 => Value::Boolean(self.bytes::<1>()?[0] != 0),
            2 => Value::String(self.short_string()?),
            3 => Value::Object(self.properties(depth)?),
            5 => Value::Null,
            6 => Value::Undefined,
            8 => {
                // The count is a hint (§2.10): the end marker ends the array.
                self.bytes::<4>()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            10 => {
                let count = u32::from_be_bytes(self.bytes()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            11 => {
                let date = f64::from_be_bytes(self.bytes()?);
                self.bytes::<2>()?;
                Value::Date(date)
            }
            12 | 15 => {
                let length = u32::from_be_bytes(self.bytes()?) as usize;
                Value::String(self.text(length)?)
            }
            13 => Value::Undefined,
            16 => {
                self.short_string()?;
                Value::Object(self.properties(depth)?)
            }
            // §3.1: one value of AMF3.
            17 => self.value3(depth)?,
            marker => return Err(self.error(Reason::Marker(marker))),
        })
    }

    /// Counts a value, which holds recursion and memory within bounds.
    fn count(&mut self, depth: usize) -> Result<(), AmfError> {
        self.values += 1;
        if depth > MAX_DEPTH {
            return Err(self.error(Reason::TooDeep));
        }
        if self.values > MAX_VALUES {
            return Err(self.error(Reason::TooMany));
        }
        Ok(())
    }

    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut properties = Vec::new();
        loop {
            let key = self.short_string()?;
            if key.is_empty() && self.data.get(self.at) == Some(&9) {
                self.at += 1;
                return Ok(properties);
            }
            properties.push((key, self.value(depth + 1)?));
        }
    }

    fn short_string(&mut self) -> Result<String, AmfError> {
        let length = u16::from_be_bytes(self.bytes()?);
        self.text(length.into())
    }

    fn text(&mut self, length: usize) -> Result<String, AmfError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.data.len());
        let end = end.ok_or_else(|| self.error(Reason::Truncated))?;
        let text = String::from_utf8_lossy(&self.data[self.at..end]).into_owned();
        self.at = end;
        Ok(text)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let bytes = self.data[self.at..]
            .first_chunk()
            .copied()
            .ok_or_else(|| self.error(Reason::Truncated))?;
        self.at += N;
        Ok(bytes)
    }

    fn error(&self, reason: Reason) -> AmfError {
        AmfError {
            position: self.at,
            reason,
        }
    }
}

/// Writes values one behind the other.
pub fn encode(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    for value in values {
        encode_value(value, &mut out);
    }
    out.freeze()
}

fn encode_value(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(0);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[1, u8::from(*boolean)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.put_u8(2);
                out.put_u16(length);
                out.put_slice(text.as_bytes());
            }
            Err(_) => {
                out.put_u8(12);
                out.put_u32(text.len() as u32);
                out.put_slice(text.as_bytes());
            }
        },
        Value::Object(properties) => {
            out.put_u8(3);
            encode_properties(properties, out);
        }
        Value::Null => out.put_u8(5),
        Value::Undefined => out.put_u8(6),
        Value::EcmaArray(properties) => {
            out.put_u8(8);
            out.put_u32(properties.len() as u32);
            encode_properties(properties, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(10);
            out.put_u32(values.len() as u32);
            for value in values {
                encode_value(value, out);
            }
        }
        Value::Date(date) => {
            out.put_u8(11);
            out.put_f64(*date);
            out.put_u16(0);
        }
    }
}

fn encode_properties(properties: &[(String, Value)], out: &mut BytesMut) {
    for (key, value) in properties {
        // AMF3 has longer keys than the length field can say. Cut between characters, they are read back as written.
        let key = &key[..key.floor_char_boundary(usize::from(u16::MAX))];
        out.put_u16(key.len() as u16);
        out.put_slice(key.as_bytes());
        encode_value(value, out);
    }
    out.put_slice(&[0, 0, 9]);
}

/// Why AMF cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AMF at byte {position}: {reason}")]
pub struct AmfError {
    position: usize,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("the value ends early")]
    Truncated,
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("more than {MAX_VALUES} values")]
    TooMany,
    #[error("type marker {0} is not supported")]
    Marker(u8),
    #[error("AMF3 type marker {0} is not supported")]
    Marker3(u8),
    #[error("a reference to what was not there before")]
    Reference,
    #[error("an object that only its own class can read")]
    Externalizable,
}
