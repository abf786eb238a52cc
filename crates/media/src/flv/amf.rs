//! The few AMF0 values that `onMetaData` is made of (E.4.4).
//!
//! The RTMP crate has the whole of AMF0; this crate knows nothing of RTMP, and of a script tag it wants six properties.
//! The reader walks past everything else without building it.

use bytes::{BufMut, BytesMut};

const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
pub(super) const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const REFERENCE: u8 = 7;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;

/// Deeper values than any metadata are not followed.
const MAX_DEPTH: u8 = 8;

/// A value, as far as metadata cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(f64),
    Boolean(bool),
    String(&'a [u8]),
    /// Anything else that could be walked past.
    Other,
}

/// Reads values one after another; `None` where the bytes end or make no sense.
pub(super) struct Walker<'a> {
    rest: &'a [u8],
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        match self.value()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Hands every property of the object or ECMA array that comes next to `visit`.
    ///
    /// The count in front of an ECMA array is ignored: writers get it wrong, and the end marker is always there.
    pub(super) fn properties(&mut self, mut visit: impl FnMut(&'a [u8], Value<'a>)) -> Option<()> {
        match self.byte()? {
            OBJECT => {}
            ECMA_ARRAY => self.skip(4)?,
            _ => return None,
        }
        self.members(MAX_DEPTH, &mut visit)
    }

    fn members(&mut self, depth: u8, visit: &mut dyn FnMut(&'a [u8], Value<'a>)) -> Option<()> {
        loop {
            let key_len = self.u16()?;
            let key = self.take(key_len.into())?;
            if key.is_empty() && self.rest.first() == Some(&OBJECT_END) {
                return self.skip(1);
            }
            let value = self.value_at(depth)?;
            visit(key, value);
        }
    }

    fn value(&mut self) -> Option<Value<'a>> {
        self.value_at(MAX_DEPTH)
    }

    fn value_at(&mut self, depth: u8) -> Option<Value<'a>> {
        let depth_below = depth.checked_sub(1)?;
        match self.byte()? {
            NUMBER => return Some(Value::Number(f64::from_be_bytes(*self.take(8)?.first_chunk()?))),
            BOOLEAN => return Some(Value::Boolean(self.byte()? != 0)),
            STRING => {
                let len = self.u16()?;
                return Some(Value::String(self.take(len.into())?));
            }
            LONG_STRING => {
                let len = self.u32()?;
                return Some(Value::String(self.take(len as usize)?));
            }
            OBJECT => self.members(depth_below, &mut |_, _| {})?,
            ECMA_ARRAY => {
                self.skip(4)?;
                self.members(depth_below, &mut |_, _| {})?;
            }
            STRICT_ARRAY => {
                // Every element takes a byte at least, so the walk ends with the input whatever the count says.
                for _ in 0..self.u32()? {
                    self.value_at(depth_below)?;
                }
            }
            DATE => self.skip(10)?,
            REFERENCE => self.skip(2)?,
            NULL | UNDEFINED => {}
            _ => return None,
        }
        Some(Value::Other)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.take(4)?.first_chunk()?))
    }
}

/// Writes a script body: a name and an ECMA array.
pub(super) struct ScriptBody {
    out: BytesMut,
    count_at: usize,
    count: u32,
}

impl ScriptBody {
    pub(super) fn new(name: &str) -> Self {
        let mut out = BytesMut::new();
        out.put_u8(STRING);
        put_text(&mut out, name);
        out.put_u8(ECMA_ARRAY);
        let count_at = out.len();
        out.put_u32(0);
        Self {
            out,
            count_at,
            count: 0,
        }
    }

    pub(super) fn number(&mut self, key: &str, value: f64) {
        self.key(key);
        self.out.put_u8(NUMBER);
        self.out.put_f64(value);
    }

    pub(super) fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.put_u8(BOOLEAN);
        self.out.put_u8(value.into());
    }

    /// An object with two arrays of equal length: the keyframe index that seeking players read.
    pub(super) fn keyframes(&mut self, entries: &[(f64, f64)]) {
        self.key("keyframes");
        self.out.put_u8(OBJECT);
        put_text(&mut self.out, "times");
        self.array(entries.iter().map(|(time, _)| *time));
        put_text(&mut self.out, "filepositions");
        self.array(entries.iter().map(|(_, position)| *position));
        self.out.put_slice(&[0, 0, OBJECT_END]);
    }

    fn array(&mut self, values: impl ExactSizeIterator<Item = f64>) {
        self.out.put_u8(STRICT_ARRAY);
        self.out.put_u32(values.len() as u32);
        for value in values {
            self.out.put_u8(NUMBER);
            self.out.put_f64(value);
        }
    }

    fn key(&mut self, key: &str) {
        self.count += 1;
        put_text(&mut self.out, key);
    }

    pub(super) fn finish(mut self) -> BytesMut {
        self.out.put_slice(&[0, 0, OBJECT_END]);
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_be_bytes());
        self.out
    }
}

/// Length-prefixed UTF-8. Names here are this crate's own and short.
fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}
