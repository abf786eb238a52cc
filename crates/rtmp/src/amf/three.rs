//! AMF3 values, as they stand behind AMF0's `avmplus-object-marker` (Adobe "Action Message Format -- AMF 3", sections in
//! brackets). Only read: whoever understands AMF3 understands AMF0.
//!
//! What commands have no use for (XML, byte arrays) is read over and becomes [`Value::Undefined`], and so does an object
//! within itself.

use std::rc::Rc;

use super::{AmfError, Decoder, Reason, Value};

/// What later values of a message may refer to (§2.2).
#[derive(Default)]
pub(super) struct References {
    strings: Vec<String>,
    /// `None` while it is being read.
    objects: Vec<Option<Value>>,
    traits: Vec<Rc<Traits>>,
    /// Bytes of text that were copied by reference.
    copied: usize,
}

/// The shape of an object (§3.12).
struct Traits {
    is_dynamic: bool,
    names: Vec<String>,
}

/// Most text that references may copy: they would let a short message become a huge one.
const MAX_COPIED: usize = 1 << 20;

/// A length or a reference: the lowest bit says which (§3.1 and on).
enum Header {
    Inline(usize),
    Reference(usize),
}

impl Decoder<'_> {
    pub(super) fn value3(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.count(depth)?;
        Ok(match self.bytes::<1>()?[0] {
            0 => Value::Undefined,
            1 => Value::Null,
            2 => Value::Boolean(false),
            3 => Value::Boolean(true),
            4 => {
                // 29 bits, the highest of which is the sign (§3.6).
                let number = self.u29()? as i32;
                Value::Number(f64::from(number << 3 >> 3))
            }
            5 => Value::Number(f64::from_be_bytes(self.bytes()?)),
            6 => Value::String(self.string3()?),
            8 => match self.header()? {
                Header::Reference(index) => self.object(index, depth)?,
                Header::Inline(_) => {
                    let date = Value::Date(f64::from_be_bytes(self.bytes()?));
                    self.references.objects.push(Some(date.clone()));
                    date
                }
            },
            9 => self.complex(depth, Self::array)?,
            10 => match self.header()? {
                Header::Reference(index) => self.object(index, depth)?,
                Header::Inline(flags) => self.remember(|decoder| decoder.object3(flags, depth))?,
            },
            // Both kinds of XML, and bytes.
            7 | 11 | 12 => self.complex(depth, |decoder, length, _| decoder.skip(length))?,
            13 | 14 => self.complex(depth, |decoder, count, _| {
                decoder.skip(count.saturating_mul(4).saturating_add(1))
            })?,
            15 => self.complex(depth, |decoder, count, _| {
                decoder.skip(count.saturating_mul(8).saturating_add(1))
            })?,
            16 => self.complex(depth, |decoder, count, depth| {
                decoder.skip(1)?;
                decoder.string3()?;
                decoder.values3(count, depth)
            })?,
            17 => self.complex(depth, |decoder, count, depth| {
                decoder.skip(1)?;
                for _ in 0..count {
                    decoder.value3(depth + 1)?;
                    decoder.value3(depth + 1)?;
                }
                Ok(Value::Undefined)
            })?,
            marker => return Err(self.error(Reason::Marker3(marker))),
        })
    }

    /// What begins with a length or is a reference.
    fn complex(
        &mut self,
        depth: usize,
        read: impl FnOnce(&mut Self, usize, usize) -> Result<Value, AmfError>,
    ) -> Result<Value, AmfError> {
        match self.header()? {
            Header::Reference(index) => self.object(index, depth),
            Header::Inline(length) => self.remember(|decoder| read(decoder, length, depth)),
        }
    }

    /// Names, then values without (§3.11).
    fn array(&mut self, count: usize, depth: usize) -> Result<Value, AmfError> {
        let mut named = Vec::new();
        self.named(&mut named, depth)?;
        let Value::StrictArray(values) = self.values3(count, depth)? else {
            return Ok(Value::Undefined);
        };
        if named.is_empty() {
            return Ok(Value::StrictArray(values));
        }
        let numbered = values.into_iter().enumerate();
        named.extend(numbered.map(|(index, value)| (index.to_string(), value)));
        Ok(Value::EcmaArray(named))
    }

    /// Names and values up to an empty name.
    fn named(&mut self, into: &mut Vec<(String, Value)>, depth: usize) -> Result<(), AmfError> {
        loop {
            let key = self.string3()?;
            if key.is_empty() {
                return Ok(());
            }
            into.push((key, self.value3(depth + 1)?));
        }
    }

    fn values3(&mut self, count: usize, depth: usize) -> Result<Value, AmfError> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value3(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }

    /// §3.12. `flags` are the header's bits behind the one that told it from a reference.
    fn object3(&mut self, flags: usize, depth: usize) -> Result<Value, AmfError> {
        let traits = if flags & 1 == 0 {
            let known = self.references.traits.get(flags >> 1).cloned();
            known.ok_or_else(|| self.error(Reason::Reference))?
        } else if flags & 2 != 0 {
            // Its class alone knows how to read it.
            return Err(self.error(Reason::Externalizable));
        } else {
            let is_dynamic = flags & 4 != 0;
            self.string3()?;
            let mut names = Vec::new();
            for _ in 0..flags >> 3 {
                self.count(depth)?;
                names.push(self.string3()?);
            }
            let traits = Rc::new(Traits { is_dynamic, names });
            self.references.traits.push(traits.clone());
            traits
        };
        let mut properties = Vec::new();
        for name in &traits.names {
            self.copy(name.len())?;
            properties.push((name.clone(), self.value3(depth + 1)?));
        }
        if traits.is_dynamic {
            self.named(&mut properties, depth)?;
        }
        Ok(Value::Object(properties))
    }

    /// Numbers an object before it is read, as its sender did.
    fn remember(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, AmfError>) -> Result<Value, AmfError> {
        let index = self.references.objects.len();
        self.references.objects.push(None);
        let value = read(self)?;
        self.copy(text_bytes(&value))?;
        self.references.objects[index] = Some(value.clone());
        Ok(value)
    }

    fn object(&mut self, index: usize, depth: usize) -> Result<Value, AmfError> {
        let known = self.references.objects.get(index);
        let value = known.ok_or_else(|| self.error(Reason::Reference))?.clone();
        let value = value.unwrap_or(Value::Undefined);
        self.values += weight(&value);
        // As deep as if it were spelled out here: short references would stack up to any depth.
        self.count(depth + height(&value))?;
        self.copy(text_bytes(&value))?;
        Ok(value)
    }

    /// UTF-8 with its length, or a reference to one before. The empty one is never referred to (§1.3.2).
    fn string3(&mut self) -> Result<String, AmfError> {
        match self.header()? {
            Header::Inline(0) => Ok(String::new()),
            Header::Inline(length) => {
                let text = self.text(length)?;
                self.copy(text.len())?;
                self.references.strings.push(text.clone());
                Ok(text)
            }
            Header::Reference(index) => {
                let known = self.references.strings.get(index).cloned();
                let text = known.ok_or_else(|| self.error(Reason::Reference))?;
                self.copy(text.len())?;
                Ok(text)
            }
        }
    }

    fn header(&mut self) -> Result<Header, AmfError> {
        let number = self.u29()? as usize;
        Ok(match number & 1 {
            1 => Header::Inline(number >> 1),
            _ => Header::Reference(number >> 1),
        })
    }

    /// §1.3.1: seven bits a byte, eight in the fourth.
    fn u29(&mut self) -> Result<u32, AmfError> {
        let mut number = 0;
        for _ in 0..3 {
            let [byte] = self.bytes()?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        let [byte] = self.bytes()?;
        Ok(number << 8 | u32::from(byte))
    }

    fn skip(&mut self, count: usize) -> Result<Value, AmfError> {
        if self.data.len() - self.at < count {
            return Err(self.error(Reason::Truncated));
        }
        self.at += count;
        Ok(Value::Undefined)
    }

    fn copy(&mut self, bytes: usize) -> Result<(), AmfError> {
        self.references.copied = self.references.copied.saturating_add(bytes);
        match self.references.copied > MAX_COPIED {
            true => Err(self.error(Reason::TooMany)),
            false => Ok(()),
        }
    }
}

/// Values within a value.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::Object(properties) | Value::EcmaArray(properties) => {
            properties.iter().map(|(_, value)| weight(value)).sum::<usize>()
        }
        Value::StrictArray(values) => values.iter().map(weight).sum(),
        _ => 0,
    }
}

/// Levels below a value.
fn height(value: &Value) -> usize {
    let below = match value {
        Value::Object(properties) | Value::EcmaArray(properties) => {
            properties.iter().map(|(_, value)| 1 + height(value)).max()
        }
        Value::StrictArray(values) => values.iter().map(|value| 1 + height(value)).max(),
        _ => None,
    };
    below.unwrap_or(0)
}

/// Bytes of text within a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(properties) | Value::EcmaArray(properties) => properties
            .iter()
            .map(|(key, value)| key.len() + text_bytes(value))
            .sum(),
        Value::StrictArray(values) => values.iter().map(text_bytes).sum(),
        _ => 0,
    }
}
