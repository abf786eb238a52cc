//! FLV: the tag bodies RTMP carries, the tags HTTP-FLV and files wrap around them.
//!
//! An RTMP audio or video message and the body of an FLV tag are the same bytes, so this module reads and writes bodies
//! once for both. It covers the codecs that live encoders still send with legacy ids (AVC, AAC, MP3) and refuses the
//! rest by name; it never transcodes one header form into another. Section numbers are those of the "Adobe Flash Video
//! File Format Specification" 10.1, annex E.

mod amf;
mod audio;
mod enhanced;
mod error;
mod reader;
pub mod script;
mod tag;
mod video;
mod writer;

pub use audio::{AudioTag, audio_body, parse_audio};
pub use enhanced::FourCc;
pub use error::TagError;
pub use reader::{ReadError, Reader, Tag};
pub use tag::{
    FILE_HEADER_LEN, MAX_BODY, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, file_header, previous_tag_size, tag_header,
    write_tag,
};
pub use video::{VideoTag, parse_video, video_body};
pub use writer::FileWriter;
