//! FLV: the tag bodies RTMP carries, the tags HTTP-FLV and files wrap around them.
//!
//! An RTMP audio or video message and the body of an FLV tag are the same bytes, so this module reads and writes bodies
//! once for both: those of FLV itself ("Adobe Flash Video File Format Specification" 10.1, annex E, whose section numbers
//! stand beside what follows it), and those of Enhanced RTMP. A message that came is first taken apart by [`unpack()`];
//! everything else sees plain bodies of one track.

mod amf;
mod audio;
mod enhanced;
mod error;
mod reader;
pub mod script;
mod tag;
mod unpack;
mod video;
mod writer;

pub(crate) use audio::audio_codec;
pub use audio::{AudioTag, audio_body, parse_audio};
pub use enhanced::{FourCc, is_enhanced};
pub use error::TagError;
pub use reader::{ReadError, Reader, Tag};
pub use tag::{
    FILE_HEADER_LEN, MAX_BODY, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, file_header, previous_tag_size, tag_header,
    write_tag,
};
pub use unpack::{Unpacked, unpack, with_nanos};
pub(crate) use video::video_codec;
pub use video::{VideoTag, parse_video, video_body};
pub use writer::FileWriter;
