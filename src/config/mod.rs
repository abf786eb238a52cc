//! Configuration: TOML files over built-in defaults, environment over files.
//!
//! [`schema`] says which keys there are, [`mod@load`] layers the sources and makes every mistake an error that names the
//! file, the line and the nearest key there is.

mod callbacks;
mod encoders;
mod listen;
mod load;
mod schema;
mod units;
mod vhosts;

pub use callbacks::{CallbackUrl, Callbacks, Unreachable};
pub use encoders::{CoreBudget, Encoders, SoftwareUse};
pub use listen::{ListenAddress, LocalSocket};
pub(crate) use load::nearest;
pub use load::{ConfigError, Problem, load};
pub use schema::{
    App, Certificate, Config, Hls, Http, Isolation, Metadata, ONLY_OUTPUT, PipelineUse, PublishPolicy, Record,
    RecordFormat, RecordWhen, Rtmp, Shutdown, Source, TargetPattern, TemplateParams, Templates, Tls, Unannounced,
    Vhost, When, Workers,
};
pub use units::{Seconds, Size};
pub use vhosts::Vhosts;
