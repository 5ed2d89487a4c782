//! Where a configuration comes from, on the command line: `discover` and `import`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) const DISCOVER: &str = "\
WHERE is a URL, or a configuration followed by one of its sides. Listings are found by what
the server says of itself (OpenAPI), by the links of its first page, or are named with --path.
Secrets are read from the environment and never written: --bearer TOKEN_VARIABLE.";

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// A URL, or a configuration
    #[arg(value_name = "WHERE")]
    pub(crate) place: String,
    /// The side, in a configuration
    pub(crate) side: Option<String>,
    /// A path below the URL to sample; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
    /// The variable of the environment that holds a bearer token
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["side", "basic", "header"])]
    pub(crate) bearer: Option<String>,
    /// A user, and the variable that holds the password
    #[arg(long, value_name = "USER:VARIABLE", conflicts_with_all = ["side", "header"])]
    pub(crate) basic: Option<String>,
    /// A header, and the variable that holds its value
    #[arg(long, value_name = "NAME:VARIABLE", conflicts_with = "side")]
    pub(crate) header: Option<String>,
    /// The most requests that are made
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_requests: u32,
    /// The file to write, which must not be there; standard output, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Answer in JSON: what was found, and the configuration
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// Take over the read side of a declarative manifest (low-code YAML) of Airbyte's
    #[command(after_help = IMPORT)]
    Airbyte(ImportAirbyteArgs),
}

const IMPORT: &str = "\
Each stream becomes a collection between the source and a second side, `other`, which is
a stub to be filled in. What is not taken over is named with its line, on standard error
and at the end of the configuration. What people enter becomes variables of the environment.

Exit codes: 0: all is taken over; 1: the configuration is written, and something is not
taken over; 3: the manifest cannot be read, and nothing is written.";

#[derive(Debug, Args)]
pub(crate) struct ImportAirbyteArgs {
    /// The manifest
    pub(crate) file: PathBuf,
    /// The file to write, which must not be there; standard output, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What the source is called [default: as the manifest's file or folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Answer in JSON: the configuration, what is not taken over, the variables
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}
