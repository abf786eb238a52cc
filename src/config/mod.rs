//! Configuration: TOML files over built-in defaults, environment over files.
//!
//! [`schema`] says which keys there are, [`mod@load`] layers the sources and makes every mistake an error that names the
//! file, the line and the nearest key there is.

mod listen;
mod load;
mod schema;
mod units;
mod vhosts;

pub use listen::ListenAddress;
pub(crate) use load::nearest;
pub use load::{ConfigError, Problem, load};
pub use schema::{
    App, Certificate, Config, Hls, Http, Metadata, PipelineUse, PublishPolicy, Record, RecordFormat, Rtmp, Shutdown,
    Source, TargetPattern, TemplateParams, Templates, Tls, Unannounced, Vhost,
};
pub use units::{Seconds, Size};
pub use vhosts::Vhosts;
