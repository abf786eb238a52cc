//! streammill.
