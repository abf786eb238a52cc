//! RTMP
