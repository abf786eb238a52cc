//! The renditions of a ladder: those that the source allows, each of the height asked for, with key frames at the same times.

#![allow(clippy::unwrap_used)]

#[path = "mill/mod.rs"]
mod mill;
